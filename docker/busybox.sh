#!/bin/sh
# Makes sure that this machine has a static busybox, which tests and benchmarks make a 2 MB
# image of: nodes that only run a shell need neither a registry nor a build.
#
# As root on Debian or Ubuntu it installs the package; elsewhere it prints the one command
# that helps and exits with 3.
set -eu

if command -v busybox > /dev/null; then
    exit 0
elif [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
    echo "setup: installing busybox-static"
    apt-get update
    DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends busybox-static
else
    echo "setup: the tests need busybox; run: sudo apt-get install busybox-static" >&2
    exit 3
fi
