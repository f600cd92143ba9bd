#!/usr/bin/env bash
# The real PostgreSQL and RabbitMQ that the tests run against: private ones, on free ports of the loopback, in a
# folder of their own that is removed at the end. What the machine itself runs is neither used nor touched.
#
#   bash tests/services.sh exec -- CMD…              start both, run CMD, stop both
#   eval "$(bash tests/services.sh env)"             start both and keep them for this shell; later: allim_test_stop
#   bash tests/services.sh stop DIR                  stop those in DIR (printed by `env`), keep their logs
#   bash tests/services.sh restart DIR NAME [kill]   NAME: postgres or rabbitmq; `kill`: without a word of warning
#
# Needs the Debian packages postgresql and rabbitmq-server; tests/run.sh installs them.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
start_seconds_max=90 # far above the usual 10 s: a machine that compiles meanwhile is slow
logs=${CARGO_TARGET_DIR:-$here/../target}/test-services
dir= # of the running services
tools=${CARGO_TARGET_DIR:-$here/../target}/test-tools # tests/run.sh fills it
starters=()

step() { printf '[%4d s] %s\n' "$SECONDS" "$*" >&2; }
fail() { printf 'services: %s\n' "$*" >&2; return 1; }

# Starts both at once; afterwards $dir is their folder and the ALLIM_TEST_… variables are exported.
start_services() {
    # Not under TMPDIR: the database's own user must be able to reach it, and a socket's path must be short.
    dir=$(mktemp -d /tmp/allim-test.XXXXXX)
    chmod 711 "$dir"
    mkdir "$dir/bin" "$dir/rabbitmq"
    # Each in a session of its own, so that Ctrl-C never leaves a server half started: stop_services waits for them.
    setsid bash "$here/services.sh" start "$dir" postgres </dev/null >"$dir/postgres-start.log" 2>&1 & starters+=($!)
    setsid bash "$here/services.sh" start "$dir" rabbitmq </dev/null >"$dir/rabbitmq-start.log" 2>&1 & starters+=($!)
    wait "${starters[0]}" || { tail -n 20 "$dir"/postgres*.log >&2; fail "PostgreSQL did not start"; }
    wait "${starters[1]}" || { tail -n 20 "$dir"/rabbitmq*.log >&2; fail "RabbitMQ did not start"; }
    write_env
    # shellcheck source=/dev/null
    . "$dir/env"
    step "PostgreSQL and RabbitMQ answer"
}

stop_on_exit() {
    trap stop_services EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
}

# Stops what start_services started in $dir and keeps the logs. Safe to call twice, and in the middle of a start.
stop_services() {
    [[ -n $dir && -d $dir/rabbitmq ]] || return 0
    trap '' INT TERM HUP # a second Ctrl-C does not cut this short
    # Never pull the folder away from under a start or a restart.
    wait "${starters[@]}" 2>/dev/null || true
    flock -w 60 "$dir/lock" true || true
    # The data goes too, so neither server is given time to tidy up.
    kill_group "$dir/rabbitmq/server.pid" || true
    kill_group "$dir/rabbitmq/epmd.pid" || true
    [[ ! -e $dir/postgres/postmaster.pid ]] || pg_ctl stop -m immediate -s || true
    { mkdir -p "$logs" && cp "$dir"/*.log "$logs"; } || true
    rm -rf "$dir"
}

# ---- PostgreSQL

start_postgres() {
    local owner=()
    free_port 0 >"$dir/postgres.port"
    if ((EUID == 0)); then owner=(-o postgres -g postgres); fi
    install -d -m 700 "${owner[@]}" "$dir/postgres"
    install -m 600 "${owner[@]}" /dev/null "$dir/postgres.log"
    as_postgres initdb -D "$dir/postgres" -U postgres --auth=trust -E UTF8 --locale=C.UTF-8 --no-sync --no-instructions
    # Durability stays on: the tests prove what survives a crash. Before it recovers from one, the server syncs each file
    # by itself, which takes most of a minute with a database for each test; one sync of the file system does as well.
    cat >>"$dir/postgres/postgresql.conf" <<-CONF
		listen_addresses = '127.0.0.1'
		port = $(<"$dir/postgres.port")
		unix_socket_directories = '$dir/postgres'
		fsync = on
		max_connections = 200
		recovery_init_sync_method = syncfs
	CONF
    pg_ctl start
    as_postgres pg_isready -h 127.0.0.1 -p "$(<"$dir/postgres.port")"
}

# With -w, start and restart return when the server takes connections.
pg_ctl() {
    as_postgres pg_ctl "$@" -D "$dir/postgres" -l "$dir/postgres.log" -w -t "$start_seconds_max"
}

# The server refuses to run as root.
as_postgres() {
    local bin run=(env) command=$1
    bin=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
    if ((EUID == 0)); then run=(runuser -u postgres --); fi
    (cd "$dir" && exec "${run[@]}" "$bin/$command" "${@:2}")
}

# ---- RabbitMQ, with a port mapper (epmd) of its own, for Erlang would leave a shared one running

start_rabbitmq() {
    local home=$dir/rabbitmq
    free_port 1 >"$dir/rabbitmq.port"
    echo '[].' >"$home/enabled_plugins"
    free_port 4 >"$dir/rabbitmq-tls.port"
    make_certificates "$home"
    cat >"$home/rabbitmq.conf" <<-CONF
		listeners.tcp.1 = 127.0.0.1:$(<"$dir/rabbitmq.port")
		listeners.ssl.1 = 127.0.0.1:$(<"$dir/rabbitmq-tls.port")
		ssl_options.cacertfile = $home/ca.pem
		ssl_options.certfile = $home/server.pem
		ssl_options.keyfile = $home/server.key
		ssl_options.verify = verify_none
	CONF
    (umask 377 && od -An -N20 -tx1 /dev/urandom | tr -d ' \n' >"$home/.erlang.cookie")
    cat >"$home/env" <<-ENV
		export HOME='$home'
		export ERL_EPMD_ADDRESS=127.0.0.1 ERL_EPMD_PORT=$(free_port 2)
		export RABBITMQ_NODENAME=allim-test@localhost RABBITMQ_DIST_PORT=$(free_port 3)
		export RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='-kernel inet_dist_use_interface {127,0,0,1}'
		export RABBITMQ_CTL_ERL_ARGS='-kernel inet_dist_use_interface {127,0,0,1}'
		export RABBITMQ_CONF_ENV_FILE='$home/none' RABBITMQ_ADVANCED_CONFIG_FILE='$home/none'
		export RABBITMQ_CONFIG_FILE='$home/rabbitmq.conf' RABBITMQ_ENABLED_PLUGINS_FILE='$home/enabled_plugins'
		export RABBITMQ_MNESIA_BASE='$home/data' RABBITMQ_LOG_BASE='$home' RABBITMQ_LOGS=-
	ENV
    cd "$home"
    # shellcheck source=/dev/null
    . "$home/env"
    setsid epmd </dev/null >>"$dir/rabbitmq.log" 2>&1 &
    echo $! >"$home/epmd.pid"
    # The broker starts one that nobody would stop if it does not find ours.
    timeout 20 sh -c 'until epmd -names; do sleep 0.05; done'
    launch_rabbitmq
}

# A certificate for 127.0.0.1 under an authority that nobody else knows.
make_certificates() {
    local new=(openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2)
    "${new[@]}" -subj "/CN=allim test authority" -keyout "$1/ca.key" -out "$1/ca.pem"
    "${new[@]}" -subj "/CN=allim test broker" -keyout "$1/server.key" -out "$1/server.pem" \
        -CA "$1/ca.pem" -CAkey "$1/ca.key" \
        -addext "subjectAltName=IP:127.0.0.1" -addext "basicConstraints=critical,CA:FALSE"
}

# Debian's commands in PATH insist on the system's own user and folders; those behind them do not.
launch_rabbitmq() {
    # The variable makes the script become the broker instead of watching over it, so the id is the broker's own.
    RUNNING_UNDER_SYSTEMD=1 setsid /usr/lib/rabbitmq/bin/rabbitmq-server </dev/null >>"$dir/rabbitmq.log" 2>&1 &
    echo $! >"$dir/rabbitmq/server.pid"
    # Returns when the broker has started, and fails at once when its process has died.
    /usr/lib/rabbitmq/bin/rabbitmqctl wait --pid $! --timeout "$start_seconds_max"
}

restart_rabbitmq() {
    # shellcheck source=/dev/null
    . "$dir/rabbitmq/env"
    if [[ $1 != kill ]]; then
        kill -TERM "$(<"$dir/rabbitmq/server.pid")" || true
        await_gone "$(<"$dir/rabbitmq/server.pid")" || true
    fi
    kill_group "$dir/rabbitmq/server.pid"
    launch_rabbitmq
}

# ---- what both need

# What tests read, and the little programs they call to restart a server under the product's feet: one at a time, and
# none while the servers are stopped for good, hence the lock; a Ctrl-C does not cut it short, hence the session.
write_env() {
    local restart
    restart=$(printf 'exec setsid -w flock -o %s/lock bash %q restart %s' "$dir" "$here/services.sh" "$dir")
    printf '#!/bin/sh\n%s postgres "$@"\n' "$restart" >"$dir/bin/postgres-restart"
    printf '#!/bin/sh\n%s rabbitmq "$@"\n' "$restart" >"$dir/bin/amqp-restart"
    printf '#!/bin/sh\n. %s/rabbitmq/env\nexec /usr/lib/rabbitmq/bin/rabbitmqctl "$@"\n' "$dir" >"$dir/bin/amqp-ctl"
    chmod 755 "$dir"/bin/*
    cat >"$dir/env" <<-ENV
		export ALLIM_TEST_POSTGRES=postgres://postgres@127.0.0.1:$(<"$dir/postgres.port")/postgres
		export ALLIM_TEST_POSTGRES_RESTART=$dir/bin/postgres-restart
		export ALLIM_TEST_AMQP=amqp://guest:guest@127.0.0.1:$(<"$dir/rabbitmq.port")/%2f
		export ALLIM_TEST_AMQPS=amqps://guest:guest@127.0.0.1:$(<"$dir/rabbitmq-tls.port")/%2f
		export ALLIM_TEST_AMQP_CA=$dir/rabbitmq/ca.pem
		export ALLIM_TEST_AMQP_RESTART=$dir/bin/amqp-restart
		export ALLIM_TEST_AMQP_CTL=$dir/bin/amqp-ctl
		export ALLIM_TEST_SMTP_SINK=/usr/sbin/smtp-sink
		export ALLIM_TEST_PYTHON=/usr/bin/python3
		export ALLIM_TEST_NEWSBOAT=/usr/bin/newsboat
		export ALLIM_TEST_TOOLS=$(realpath -m "$tools")
		export ALLIM_TEST_REQUIRE_SERVICES=1
	ENV
}

# A port that nobody listens on, below those that the system hands out by itself: else a test's own socket could take
# it while its server restarts. Each of the servers' ports has a range of its own, $1, so that no two are equal.
free_port() {
    local port
    while port=$((20000 + 3000 * $1 + SRANDOM % 3000)); do
        (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
    done
}

# A process is ours only if it was started with our folder in its environment: ids are reused.
is_ours() { grep -aqs -- "$dir" "/proc/$1/environ"; }

await_gone() {
    local tenths
    for ((tenths = 0; tenths < 300; tenths++)); do
        is_ours "$1" || return 0
        sleep 0.1
    done
    return 1
}

kill_group() {
    local pid
    [[ -s $1 ]] && pid=$(<"$1") && is_ours "$pid" || return 0
    kill -KILL -- "-$pid" 2>/dev/null || true
    await_gone "$pid"
}

use_dir() {
    dir=${1:?the folder of the services}
    [[ -d $dir/rabbitmq && -d $dir/bin ]] || { fail "$dir holds no services of ours"; exit 2; }
}

main() {
    case ${1:-} in
        exec)
            stop_on_exit
            start_services
            [[ ${2:-} != -- ]] || shift
            "${@:2}"
            ;;
        env)
            stop_on_exit
            start_services
            trap - EXIT
            cat "$dir/env"
            printf 'allim_test_stop() { bash %q stop %s; }\n' "$here/services.sh" "$dir"
            ;;
        start) use_dir "${2:-}" && "start_$3" ;; # start_services calls it
        stop) use_dir "${2:-}" && stop_services ;;
        restart)
            use_dir "${2:-}"
            case ${3:-} in
                postgres) pg_ctl restart -s -m "$([[ ${4:-} == kill ]] && echo immediate || echo fast)" ;;
                rabbitmq) restart_rabbitmq "${4:-}" >>"$dir/rabbitmq-start.log" 2>&1 ;;
                *) fail "restart what?" ;;
            esac
            ;;
        *) sed -n '2,/^set /{s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" && exit 2 ;;
    esac
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then main "$@"; fi
