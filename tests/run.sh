#!/usr/bin/env bash
# The one test command: installs what is missing, starts a private PostgreSQL and RabbitMQ, checks format and lints,
# runs every test against them and closes with one line: "N passed, N failed, N skipped".
# Needs Debian 12, Rust with rustfmt and clippy, and root or sudo if a package is missing.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=tests/services.sh
. tests/services.sh
log=$logs/cargo-test.log
failed=()

main() {
    stop_on_exit
    install_missing
    install_tools
    start_services
    mkdir -p "$logs"
    check cargo fmt --check
    check cargo clippy --all-targets --locked -- -D warnings
    check cargo test --locked --no-fail-fast
    report
}

# Runs one check, and goes on if it fails: one run tells everything.
check() {
    step "$*"
    if ! "$@" 2>&1 | tee "$log"; then failed+=("$*"); fi
}

report() {
    local name sums passed
    sums=$(awk '/^test result: / { for (i = 3; i < NF; i++) n[$(i + 1)] += $i }
        END { printf "%d passed, %d failed, %d skipped", n["passed;"], n["failed;"], n["ignored;"] }' "$log")
    passed=${sums%% *}
    echo
    echo "PostgreSQL $(psql "$ALLIM_TEST_POSTGRES" -AtXc 'show server_version'), fsync on"
    grep -m 1 -o 'RabbitMQ [0-9.]* on Erlang [0-9.]*' "$dir/rabbitmq.log"
    echo "Postfix smtp-sink $(/usr/sbin/postconf -dh mail_version)"
    "$ALLIM_TEST_PYTHON" -c 'import platform, pika, feedparser
print("Python", platform.python_version(), "with feedparser", feedparser.__version__, "and pika", pika.__version__)'
    echo "took $SECONDS s"
    if ((passed == 0)); then failed+=("no test passed"); fi
    for name in "${failed[@]}"; do echo "FAILED: $name"; done
    echo "$sums"
    ((${#failed[@]} == 0))
}

# What Debian doesn't have: readers of mails and feeds, and what looks at pages in a browser. Kept from run to run.
install_tools() {
    if [[ ! -d $tools/python/mailparser ]]; then
        step "installing mail-parser"
        /usr/bin/python3 -m pip install -q --no-deps --target "$tools/python" 'mail-parser==4.8.0'
    fi
    if [[ ! -d $tools/python/icalendar ]]; then
        step "installing icalendar"
        /usr/bin/python3 -m pip install -q --no-deps --target "$tools/python" \
            'icalendar==6.3.1' 'python-dateutil==2.9.0.post0' 'six==1.17.0' 'tzdata==2025.2'
    fi
    if [[ ! -d $tools/python/standardwebhooks ]]; then
        step "installing standardwebhooks"
        /usr/bin/python3 -m pip install -q --no-deps --target "$tools/python" 'standardwebhooks==1.1.0'
    fi
    if [[ ! -d $tools/python/flask_websub ]]; then
        step "installing Flask-WebSub"
        /usr/bin/python3 -m pip install -q --no-deps --target "$tools/python" 'Flask-WebSub==0.4.1' 'Flask==3.1.3' \
            'Werkzeug==3.1.9' 'Jinja2==3.1.6' 'MarkupSafe==3.0.4' 'itsdangerous==2.2.0' 'blinker==1.9.0' 'click==8.5.1' \
            'requests==2.34.2' 'urllib3==2.8.0' 'certifi==2026.10.18' 'charset-normalizer==3.5.2' 'idna==3.20'
    fi
    if [[ ! -d $tools/python/fastfeedparser || ! -d $tools/python/jsonfeedvalidator || ! -d $tools/python/lxml ]]; then
        step "installing fastfeedparser and jsonfeedvalidator"
        /usr/bin/python3 -m pip install -q --no-deps --target "$tools/python" \
            'fastfeedparser==0.6.5' 'jsonfeedvalidator==0.0.3' 'lxml==6.1.3'
    fi
    if [[ ! -d $tools/schemathesis/schemathesis ]]; then
        step "installing schemathesis"
        /usr/bin/python3 -m pip install -q --target "$tools/schemathesis" 'schemathesis==4.32.5'
    fi
    # All of them at once: npm takes away what it isn't told of.
    local modules=$tools/node_modules
    if [[ ! -d $modules/ical.js || ! -d $modules/axe-core || ! -d $modules/playwright-core || ! -d $modules/feedsmith ||
        ! -d $modules/twitter-text || ! -d $modules/@atproto/api ]]; then
        step "installing axe-core, playwright-core, ical.js, feedsmith, twitter-text and @atproto/api"
        npm install --silent --no-audit --no-fund --prefix "$tools" 'axe-core@4' 'playwright-core@1' 'ical.js@2' 'feedsmith@3' \
            'twitter-text@3' '@atproto/api@0'
    fi
}

install_missing() {
    local packages=() sudo=()
    [[ -x /usr/lib/rabbitmq/bin/rabbitmq-server ]] || packages+=(rabbitmq-server)
    compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || packages+=(postgresql)
    [[ -x /usr/sbin/smtp-sink ]] || packages+=(postfix)
    # Debian's own interpreter: another python3 earlier in PATH does not see Debian's modules.
    /usr/bin/python3 -c 'import pika, feedparser, dkim, nacl, jsonschema, yaml' 2>/dev/null ||
        packages+=(python3 python3-pika python3-feedparser python3-dkim python3-nacl python3-jsonschema python3-yaml)
    /usr/bin/python3 -m pip --version >/dev/null 2>&1 || packages+=(python3-pip)
    [[ -x /usr/bin/newsboat ]] || packages+=(newsboat)
    command -v sfeed >/dev/null || packages+=(sfeed)
    command -v chromium >/dev/null || packages+=(chromium)
    fc-list 2>/dev/null | grep -q 'Noto Sans CJK' || packages+=(fontconfig fonts-noto-cjk)
    command -v node >/dev/null || packages+=(nodejs)
    command -v npm >/dev/null || packages+=(npm)
    command -v openssl >/dev/null || packages+=(openssl)
    command -v promtool >/dev/null || packages+=(prometheus)
    command -v strace >/dev/null || packages+=(strace)
    command -v cc >/dev/null || packages+=(build-essential)
    ((${#packages[@]} > 0)) || return 0

    step "installing ${packages[*]}"
    if ((EUID != 0)); then sudo=(sudo); fi
    "${sudo[@]}" apt-get update -qq
    # The system's own servers are not needed, so their installation is told not to start them. Nothing is removed:
    # Postfix would else replace the machine's own mail server.
    # shellcheck disable=SC2016 # the inner shell expands them
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive bash -euc '
        policy=/usr/sbin/policy-rc.d
        if [[ ! -e $policy ]]; then
            trap "rm -f $policy" EXIT
            printf "#!/bin/sh\nexit 101\n" >$policy
            chmod 755 $policy
        fi
        apt-get install -qq -y --no-install-recommends --no-remove \
            -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@"
    ' install "${packages[@]}"
}

main "$@"
