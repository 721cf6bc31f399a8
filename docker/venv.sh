#!/bin/sh
# Makes a virtual environment with the newest Python from 3.11 on that this machine has.
#
#   docker/venv.sh DIR
#
# As root on Debian or Ubuntu it installs what `python3 -m venv` lacks there; elsewhere it
# prints the one command that helps and exits with 3.
set -eu

dir=${1:?usage: docker/venv.sh DIR}

say() { printf 'setup: %s\n' "$*"; }

usable() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; }

find_python() {
    for name in python3 python3.14 python3.13 python3.12 python3.11; do
        if command -v "$name" > /dev/null && usable "$name"; then
            echo "$name"
            return
        fi
    done
}

python=$(find_python)
if [ -z "$python" ]; then
    say "there is no Python 3.11 or newer on this machine: install one, then try again" >&2
    exit 3
fi

if ! "$python" -c 'import ensurepip, venv' 2> /dev/null; then
    package=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    if [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
        say "installing $package"
        apt-get update
        DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "$package"
    else
        say "$python cannot make virtual environments; run: sudo apt-get install $package" >&2
        exit 3
    fi
fi

say "making $dir with $("$python" --version)"
"$python" -m venv "$dir"
