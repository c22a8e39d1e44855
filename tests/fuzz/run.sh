#!/usr/bin/env bash
# run.sh BUILD SECONDS|smoke: runs every fuzz target of BUILD (a `fuzz` preset tree) for SECONDS each; `smoke` shares
# one minute less a margin among all of them. Finds are left in tests/fuzz/corpus/NAME/ as new files: fix, keep, commit.
set -euo pipefail
build=$(realpath "${1:?build folder}")
budget=${2:?seconds for each target, or smoke}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
targets=("$build"/tests/fuzz/*_fuzz)
[ -x "${targets[0]}" ] || { echo "no fuzz target in $build/tests/fuzz" >&2; exit 1; }
if [ "$budget" = smoke ]; then
  seconds=$((50 * $(nproc) / ${#targets[@]}))
  [ $seconds -ge 1 ] || seconds=1
  [ $seconds -le 10 ] || seconds=10
else
  seconds=$budget
fi

one() {
  local target=$1 seconds=$2 here=$3 name folder fresh
  name=$(basename "$target" _fuzz)
  folder=$here/corpus/$name
  mkdir -p "$folder"
  fresh=$(mktemp -d)
  # New inputs go to a scratch folder; only what crashes, hangs or eats memory is kept (artifact_prefix).
  if "$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -max_len=65536 -print_final_stats=0 \
    -verbosity=0 -artifact_prefix="$folder/" "$fresh" "$folder" >"$fresh.log" 2>&1; then
    echo "ok    $name ($seconds s)"
    rm -rf "$fresh" "$fresh.log"
  else
    tail -n 60 "$fresh.log"
    echo "FOUND $name: see tests/fuzz/corpus/$name"
    rm -rf "$fresh" "$fresh.log"
    return 1
  fi
}
export -f one
printf '%s\n' "${targets[@]}" | xargs -P "$(nproc)" -I{} bash -c 'one "$@"' one {} "$seconds" "$here" ||
  { echo "fuzzing found something" >&2; exit 1; }
