#!/usr/bin/env bash
# demo.sh SLIPWAY: shows Slipway from nothing to a pushed and verified image. `make demo` builds the program first.
#
# Everything it makes lies in one temporary folder that is removed at the end; the registry it starts listens on a free
# port of the loopback interface and is stopped by its process id. No public registry is asked.
set -euo pipefail
slipway=$(realpath "${1:?the slipway binary}")
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${SLIPWAY_DEMO_CACHE:-$here/../build/demo}  # the base image is kept between runs
work=$(mktemp -d "${TMPDIR:-/var/tmp}/slipway-demo.XXXXXX")
registry_pid=

finish() {
  local status=$?
  trap - EXIT INT TERM
  if [ -n "$registry_pid" ]; then
    kill "$registry_pid" 2>/dev/null || true
    wait "$registry_pid" 2>/dev/null || true
  fi
  # Files of an ordinary user's store belong to the ids of /etc/subuid: only a shell in that mapping may remove them.
  rm -rf "$work" 2>/dev/null || unshare --map-auto --map-root-user rm -rf "$work" 2>/dev/null ||
    echo "note: could not remove all of $work" >&2
  [ $status = 0 ] || echo "demo: failed (exit $status)" >&2
  exit $status
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$'\e[1m' plain=$'\e[0m'; else bold='' plain=''; fi
say() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
milliseconds() { local now=$EPOCHREALTIME; echo $((${now/[.,]/} / 1000)); }

times=()
timed() {  # timed LABEL COMMAND...: runs, and remembers how long it took
  local label=$1 begin
  shift
  begin=$(milliseconds)
  "$@"
  times+=("$(($(milliseconds) - begin)) $label")
}

# Steps of a plain progress log: how many came from the cache, and each step with its time.
steps_of() {
  awk '
    match($0, /^#[0-9]+ /) {
      id = substr($0, 1, RLENGTH - 1); rest = substr($0, RLENGTH + 1)
      if (rest ~ /^\[/ && !(id in name)) { name[id] = rest; order[++n] = id }
      else if (rest == "CACHED") how[id] = "cached"
      else if (rest ~ /^DONE /) how[id] = (how[id] == "cached") ? "cached" : substr(rest, 6)
    }
    END {
      for (i = 1; i <= n; i++)
        if (name[order[i]] !~ /^\[internal\]/) printf "  %8s  %s\n", how[order[i]], substr(name[order[i]], 1, 96)
    }' "$1"
}

digest_in() {  # digest_in ROOT: what the name points at in that store
  "$slipway" --root "$1" images --digests | awk -v name="$repository" '$1 == name { print $3 }'
}

say "a base image from Debian packages (busybox, a small C compiler, make)"
mkdir -p "$cache"
if [ ! -f "$cache/base.tar" ]; then
  timed "base image made from packages" "$here/base.sh" "$cache/base.tar.new"
  mv "$cache/base.tar.new" "$cache/base.tar"
fi
timed "base image imported" "$slipway" --root "$work/store" import "$cache/base.tar" slipway-demo/base:1

say "a registry on loopback"
"$slipway" --root "$work/registry" registry --listen 127.0.0.1:0 >"$work/registry.out" 2>"$work/registry.log" &
registry_pid=$!
port=
for _ in $(seq 300); do
  port=$(sed -n 's/.*listening on http:..127\.0\.0\.1:\([0-9]*\).*/\1/p' "$work/registry.out" | head -n 1)
  [ -z "$port" ] || break
  kill -0 "$registry_pid" 2>/dev/null || { cat "$work/registry.log" >&2; exit 1; }
  sleep 0.1
done
[ -n "$port" ] || { echo "the registry did not come up" >&2; exit 1; }
repository=127.0.0.1:$port/demo/guestbook
image=$repository:1
echo "listening on 127.0.0.1:$port"

say "slipway build -t $image --push examples/guestbook"
cp -a "$here/guestbook" "$work/guestbook"
build() { "$slipway" --root "$work/store" build --progress plain -t "$image" --push "$@" "$work/guestbook" 2>&1 | tee "$work/build.log"; }
timed "first build and push" build
"$slipway" --root "$work/store" images

say "pull into an empty store, compare digests"
timed "pull into an empty store" "$slipway" --root "$work/elsewhere" pull "$image"
ours=$(digest_in "$work/store") theirs=$(digest_in "$work/elsewhere")
echo "built:  $ours"
echo "pulled: $theirs"
case $ours in sha256:*) ;; *) echo "no digest found" >&2; exit 1 ;; esac
[ "$ours" = "$theirs" ] || { echo "the digests differ" >&2; exit 1; }

say "again, nothing changed"
timed "build and push, nothing changed" build >/dev/null
steps_of "$work/build.log"
[ "$(digest_in "$work/store")" = "$ours" ] || { echo "an unchanged build gave another digest" >&2; exit 1; }

say "one page changed"
echo 'This line is new.' >>"$work/guestbook/site/pages/index.txt"
timed "build and push, one page changed" build >/dev/null
steps_of "$work/build.log"
[ "$(digest_in "$work/store")" != "$ours" ] || { echo "the change is not in the image" >&2; exit 1; }
"$slipway" --root "$work/store" build --progress plain -o type=local,dest="$work/out" "$work/guestbook" 2>/dev/null
grep -q 'This line is new' "$work/out/srv/site/index.html"

say "how long each took"
for line in "${times[@]}"; do printf '  %6d ms  %s\n' "${line%% *}" "${line#* }"; done
printf '\ndemo: ok\n'
