# Starts the server on a free port of this build step's own loopback and asks it for a page.
set -eu
server=$1
folder=$(mktemp -d)
echo '<p>hello</p>' >"$folder/index.html"
"$server" --port 0 "$folder" >"$folder/log" &
pid=$!
trap 'kill $pid' EXIT
until grep -q 'listening on port' "$folder/log"; do kill -0 $pid; done
port=$(sed 's/.*port //' "$folder/log")
wget -q -O - "http://127.0.0.1:$port/" | grep -q hello
echo "smoke test: ok"
