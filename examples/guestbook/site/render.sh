# render.sh OUT: wraps every page of pages/ into the frame.
set -eu
out=$1
mkdir -p "$out"
for page in pages/*.txt; do
  name=$(basename "$page" .txt)
  { sed "s/@TITLE@/$name/" head.html; sed 's/.*/<p>&<\/p>/' "$page"; cat foot.html; } >"$out/$name.html"
done
echo "rendered $(ls "$out" | wc -l) pages"
