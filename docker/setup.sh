#!/bin/sh
# Gets a Docker engine going, unless one answers already.
#
#   docker/setup.sh           use the engine that answers; else install and start one
#   docker/setup.sh --check   only tell
#
# Honours DOCKER_HOST and the docker context. Installs only as root on Debian or Ubuntu; elsewhere
# it prints the one command that helps. Safe to run again, and twice at once.
#
# Exit codes:
#   0   an engine answers
#   1   none answers, and --check was given
#   2   called wrongly
#   3   it takes a command that this script may not or cannot run; that command was printed
#   4   installing failed
#   5   the engine was started but did not answer in time; the log was named
set -eu

ANSWER_S=10        # how long `docker version` may take
START_S=60         # how long a new engine may take to answer
LOG=${ORCHESTRATE_DOCKERD_LOG:-/var/log/orchestrate-dockerd.log}
LOCK=${ORCHESTRATE_SETUP_LOCK:-/run/orchestrate-setup.lock}

say() { printf 'setup: %s\n' "$*"; }

fail() {
    code=$1
    shift
    printf 'setup: %s\n' "$*" >&2
    exit "$code"
}

# Runs a command with a deadline. macOS has no `timeout`.
within() {
    seconds=$1
    shift
    if command -v timeout > /dev/null; then
        timeout "$seconds" "$@"
    else
        "$@"
    fi
}

answers() {
    command -v docker > /dev/null \
        && within "$ANSWER_S" docker version --format '{{.Server.Version}}' > /dev/null 2>&1
}

tell_engine() {
    say "a Docker engine answers: $(within "$ANSWER_S" docker version --format '{{.Server.Version}}')"
}

is_debian() {
    [ -r /etc/os-release ] && grep -Eq '^ID(_LIKE)?=.*(debian|ubuntu)' /etc/os-release
}

has_systemd() { [ -d /run/systemd/system ]; }

# An engine of someone else is not ours to replace: DOCKER_HOST or a context points to it.
points_elsewhere() {
    [ -n "${DOCKER_HOST:-}" ] || [ -n "${DOCKER_CONTEXT:-}" ] || {
        command -v docker > /dev/null \
            && [ "$(within "$ANSWER_S" docker context show 2> /dev/null || echo default)" != default ]
    }
}

advise() {
    if points_elsewhere; then
        fail 3 "the engine that DOCKER_HOST or the docker context names does not answer;" \
            "start it, or run: unset DOCKER_HOST DOCKER_CONTEXT; docker context use default"
    elif [ "$(uname -s)" = Darwin ]; then
        fail 3 "no Docker engine answers; run: brew install --cask docker && open -a Docker"
    elif is_debian; then
        fail 3 "no Docker engine answers, and installing one takes root; run: sudo $0"
    elif command -v dnf > /dev/null; then
        fail 3 "no Docker engine answers; run: sudo dnf install -y moby-engine && sudo systemctl start docker"
    elif command -v pacman > /dev/null; then
        fail 3 "no Docker engine answers; run: sudo pacman -S --noconfirm docker && sudo systemctl start docker"
    elif command -v zypper > /dev/null; then
        fail 3 "no Docker engine answers; run: sudo zypper install -y docker && sudo systemctl start docker"
    elif command -v apk > /dev/null; then
        fail 3 "no Docker engine answers; run: sudo apk add docker && sudo service docker start"
    else
        fail 3 "no Docker engine answers; install one: https://docs.docker.com/engine/install/"
    fi
}

install_packages() {
    missing=
    command -v dockerd > /dev/null || missing="docker.io"
    # docker.io only recommends iptables in some releases, and no bridge network works without it
    command -v iptables > /dev/null || missing="$missing iptables"
    # newer releases keep the command line in a package of its own
    if ! command -v docker > /dev/null && apt-cache show docker-cli > /dev/null 2>&1; then
        missing="$missing docker-cli"
    fi
    [ -n "$missing" ] || return 0
    say "installing $missing with apt-get, about a minute"
    export DEBIAN_FRONTEND=noninteractive
    # a broken source of something else must not stand in the way; installing tells what is missing
    apt-get update || say "apt-get update failed; going on with the package lists that are here"
    # shellcheck disable=SC2086 # several packages
    apt-get install --yes --no-install-recommends $missing \
        || fail 4 "apt-get install $missing failed; see above"
}

start_engine() {
    if has_systemd; then
        say "starting dockerd with systemd"
        systemctl start docker || fail 5 "systemctl could not start docker; see: journalctl -u docker"
        LOG="shown by: journalctl -u docker"
        return 0
    fi
    if pgrep -x dockerd > /dev/null 2>&1; then
        say "a dockerd is running but does not answer yet"
        return 0
    fi
    say "starting dockerd without systemd; its output goes to $LOG"
    # 9>&-: the engine must not hold the lock of this script for as long as it lives
    setsid nohup dockerd > "$LOG" 2>&1 < /dev/null 9>&- &
}

wait_for_engine() {
    waited=0
    while ! answers; do
        if [ "$waited" -ge "$START_S" ]; then
            fail 5 "the engine did not answer within $START_S s; its log: $LOG"
        fi
        [ $((waited % 5)) -ne 0 ] || say "waiting for the engine, $waited of at most $START_S s"
        sleep 1
        waited=$((waited + 1))
    done
    tell_engine
}

install_and_start() {
    # the lock goes with the process; a second run waits, then finds the engine of the first
    exec 9> "$LOCK"
    if ! flock -n 9; then
        say "another setup is under way; waiting for it"
        flock -w 900 9 || fail 4 "another setup has held $LOCK for 15 minutes"
    fi
    if answers; then
        tell_engine
        return 0
    fi
    install_packages
    start_engine
    wait_for_engine
}

main() {
    case "${1:-}" in
        "") only_check=false ;;
        --check) only_check=true ;;
        *) fail 2 "usage: $0 [--check]" ;;
    esac
    if answers; then
        tell_engine
    elif "$only_check"; then
        fail 1 "no Docker engine answers; run: $0"
    elif points_elsewhere || ! is_debian || [ "$(id -u)" -ne 0 ]; then
        advise
    else
        install_and_start
    fi
}

main "$@"
