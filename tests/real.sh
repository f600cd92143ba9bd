#!/usr/bin/env bash
# The clients of networks against servers that others wrote: Synapse (Matrix), which it installs into target/test-tools, starts on a free
# port of the loopback with a folder of its own, and stops. The AT protocol's own server needs a directory of identities beside it:
# tests/carriers/social/real.rs says what it is told by.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
tools=${CARGO_TARGET_DIR:-target}/test-tools
dir=$(mktemp -d /tmp/allim-real.XXXXXX)
server=

stop() {
    if [[ -n $server ]]; then kill "$server" 2>/dev/null && wait "$server" 2>/dev/null; fi
    rm -rf "$dir"
}
trap stop EXIT

if [[ ! -x $tools/synapse/bin/python ]]; then
    python3 -m venv "$tools/synapse"
    "$tools/synapse/bin/pip" install -q 'matrix-synapse==1.163.2'
fi
python=$PWD/$tools/synapse/bin/python
port=$("$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
base=http://127.0.0.1:$port

cat >"$dir/homeserver.yaml" <<CONFIG
server_name: localhost
listeners: [{port: $port, bind_addresses: ["127.0.0.1"], type: http, tls: false, resources: [{names: [client]}]}]
database: {name: sqlite3, args: {database: "$dir/homeserver.db"}}
media_store_path: "$dir/media"
signing_key_path: "$dir/signing.key"
log_config: "$dir/log.yaml"
registration_shared_secret: only-here
report_stats: false
trusted_key_servers: []
CONFIG
printf 'version: 1\nhandlers: {file: {class: logging.FileHandler, filename: "%s/log"}}\nroot: {level: WARNING, handlers: [file]}\n' \
    "$dir" >"$dir/log.yaml"
"$python" -m synapse.app.homeserver -c "$dir/homeserver.yaml" --generate-keys
"$python" -m synapse.app.homeserver -c "$dir/homeserver.yaml" &
server=$!
for _ in $(seq 100); do
    curl -sf "$base/health" >/dev/null && break
    sleep 0.3
done
"$tools/synapse/bin/register_new_matrix_user" -u poster -p only-here -a -k only-here "$base" >/dev/null
field() { "$python" -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }
token=$(curl -sf "$base/_matrix/client/v3/login" \
    -d '{"type":"m.login.password","identifier":{"type":"m.id.user","user":"poster"},"password":"only-here"}' | field access_token)
room=$(curl -sf "$base/_matrix/client/v3/createRoom" -H "Authorization: Bearer $token" -d '{}' | field room_id)

ALLIM_TEST_SYNAPSE="$base $room $token" cargo test --locked "$@" --test carriers -- --ignored real_synapse
