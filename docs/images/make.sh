#!/usr/bin/env bash
# Makes the pictures of this folder: the digest and the pages of a quickstart in Korean, English and Chinese, light and dark,
# wide and as narrow as a telephone. Needs what tests/run.sh installs, and `cargo build`.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$here/../..
target=${CARGO_TARGET_DIR:-$root/target}
work=$(mktemp -d)
port=8029
daemon=

finish() {
    [[ -z $daemon ]] || kill "$daemon"
    rm -rf "$work"
}
trap finish EXIT

cp -r "$root/config" "$work/config"
cd "$work"
# The pictures of the posts come from this daemon, at its own address.
sed -i "s/127.0.0.1:8025/127.0.0.1:$port/; s/show_mail_folder = true/show_mail_folder = false/" config/quickstart.toml
grep -rl 8025 config | xargs -r sed -i "s/:8025/:$port/g"
allim=("$target/debug/allim" --config config/quickstart.toml)
"${allim[@]}" run 2>log &
daemon=$!
for ((tenths = 0; tenths < 1800; tenths++)); do
    mails=$(grep -l "minji@example.net" var/quickstart/mail/new/* 2>/dev/null | wc -l)
    ((mails == 0)) || break
    sleep 0.1
done
for language in ko en zh; do
    "${allim[@]}" digest preview weekly --language "$language" --html "$work/$language.html" 2>/dev/null
done
mail=$(grep -l 'minji@example.net' var/quickstart/mail/new/* | head -n 1)
python3 - "$mail" >mail.txt <<'PY'
import email, email.policy, sys
message = email.message_from_binary_file(open(sys.argv[1], "rb"), policy=email.policy.default)
print(message.get_body(("plain",)).get_content())
PY
node "$here/make.mjs" "$target/test-tools" "http://127.0.0.1:$port" "$work" "$here"
ls -l "$here"/*.jpg
