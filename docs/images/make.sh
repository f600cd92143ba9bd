#!/usr/bin/env bash
# Makes the pictures of this folder: the digest and the pages of a quickstart in Korean, English and Chinese, light and dark,
# wide and as narrow as a telephone. `ALLIM` is the program, if not target/debug/allim. Needs what tests/run.sh installs, and `cargo build`.
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
# Somebody whose digest says that there is nothing new, once it fires in its turn: a little later, when they have had an issue.
line=$(TZ=Asia/Seoul LC_ALL=C date -d '+4 minutes' '+%-M %-H * * %^a')
sed -i "/^name = \"weekly\"/a heartbeat = true
    s/^schedule = \"0 9 \* \* MON\"/schedule = \"$line\"/" config/quickstart.toml
echo 'soyeon@example.net,박소연,ko,events,weekly' >>config/quickstart/subscribers.csv
allim=("${ALLIM:-$target/debug/allim}" --config config/quickstart.toml)
"${allim[@]}" run 2>log &
daemon=$!
# A few short posts more, one of them under two topics, so that the issue is long enough for a list of titles.
more() {
    local file=$work/$1.json
    printf '{"id": "%s", "language": "ko", "topics": [%s], "title": "%s", "published_at": "%s",
        "body": {"format": "text", "content": "%s"}}' "$1" "$2" "$3" "$(date -u +%FT%TZ)" "$4" >"$file"
    "${allim[@]}" post publish "$file" --to direct >/dev/null
}
more wells '"research", "notices"' '지하수 관측정 열두 곳의 자료를 새로 공개합니다' '지난해 설치한 관측정의 한 시간 간격 자료를 오늘부터 내려받으실 수 있습니다.'
more lecture '"events"' '12월 시민 강좌: 우리 동네 물길 걷기' '연구원과 함께 옛 물길을 따라 두 시간 동안 걷습니다. 편한 신발을 신고 오십시오.'
more hiring '"notices"' '수질 분석 연구원을 모십니다' '하천과 지하수 시료를 분석할 분을 찾습니다. 자세한 내용은 누리집에서 보실 수 있습니다.'
more paper '"research"' '도시 홍수 예측 모형의 오차를 절반으로 줄였습니다' '레이더 강우와 하수관 수위를 함께 쓰는 방법을 학술지에 발표했습니다.'

for ((tenths = 0; tenths < 1800; tenths++)); do
    mails=$({ grep -l "minji@example.net" var/quickstart/mail/new/* 2>/dev/null || true; } | wc -l)
    ((mails == 0)) || break
    sleep 0.1
done
for language in ko en zh; do
    "${allim[@]}" digest preview weekly --language "$language" --html "$work/$language.html" 2>/dev/null
done
# The parts of a mail in a file.
parts() {
    python3 - "$1" "$2" <<'PY'
import email, email.policy, sys
message = email.message_from_binary_file(open(sys.argv[1], "rb"), policy=email.policy.default)
open(sys.argv[2] + ".txt", "w").write(message.get_body(("plain",)).get_content())
open(sys.argv[2] + ".html", "w").write(message.get_body(("html",)).get_content())
PY
}
# The first mail to an address that this many others precede.
nth_to() {
    local found
    for ((tenths = 0; tenths < 3600; tenths++)); do
        mapfile -t found < <({ grep -l "$1@example.net" var/quickstart/mail/new/* 2>/dev/null || true; } | xargs -r ls -tr)
        if ((${#found[@]} > $2)); then echo "${found[$2]}"; return; fi
        sleep 0.1
    done
    echo "no mail number $2 to $1" >&2
    return 1
}
parts "$(grep -l 'minji@example.net' var/quickstart/mail/new/* | xargs ls -S | head -n 1)" mail
"${allim[@]}" digest now weekly >/dev/null
nth_to soyeon 0 >/dev/null
parts "$(nth_to soyeon 1)" heartbeat
before=$(grep -l "minji@example.net" var/quickstart/mail/new/* | wc -l)
more lecture '"events"' '12월 시민 강좌: 우리 동네 물길 걷기 (날짜 변경)' '연구원과 함께 옛 물길을 걷습니다. 날짜가 12월 19일로 바뀌었습니다.'
"${allim[@]}" post correct lecture
parts "$(nth_to minji "$before")" correction
pictures() { node "$here/make.mjs" "$target/test-tools" "http://127.0.0.1:$port" "$work" "$here" "$@"; }
pictures
# The same pages as they look where somebody has given them colours, a logo and a text at the foot.
kill "$daemon"
wait "$daemon" || true
cat >config/logo.svg <<'SVG'
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 48 48"><circle cx="24" cy="24" r="23" fill="#0b6e4f"/><path d="M8 28c5-6 11-6 16 0s11 6 16 0M10 36c5-5 9-5 14 0s9 5 14 0" fill="none" stroke="#ffffff" stroke-width="3" stroke-linecap="round"/><circle cx="24" cy="15" r="5" fill="#f4b942"/></svg>
SVG
cat >>config/quickstart.toml <<'TOML'
[site.theme]
logo = "logo.svg"
footer = { ko = "모든 소식은 출처를 밝히고 자유롭게 이용하실 수 있습니다.", en = "Everything here may be used freely if you name its source.", zh = "注明出处即可自由使用本站内容。" }
[site.theme.light]
accent = "#0b6e4f"
ground = "#eef3f0"
panel = "#eaf3ee"
[site.theme.dark]
accent = "#7fd6b0"
TOML
"${allim[@]}" run 2>>log &
daemon=$!
for ((tenths = 0; tenths < 300; tenths++)); do
    ! curl -fso /dev/null "http://127.0.0.1:$port/readyz" || break
    sleep 0.1
done
pictures themed
# The control room, as the operators of the stories see it on their way (tests/operator_stories).
mkdir "$work/room"
(cd "$root" && ALLIM_PICTURES="$work/room" ALLIM_TEST_TOOLS="$(realpath "$target/test-tools")" cargo test --locked --test room stories)
for name in well-ko overview-ko overview-en-dark-phone why-ko person-en preview-ko held-ko correct-ko quarantine-ko-dark-phone import-ko \
    erase-en second-ko-dark-phone; do
    cp "$work/room/room-$name.png" "$here/"
done
ls -l "$here"/*.png
