#!/bin/sh
# Makes sure that this machine has Chromium, in which tests open reports and screenshots are made.
# Playwright, which drives it, would fetch a browser of its own from a place that few networks
# let one reach; that of the distribution does as well.
#
# As root on Debian or Ubuntu it installs the package; elsewhere it prints the one command
# that helps and exits with 3. ORCHESTRATE_CHROMIUM names another browser of its kind.
set -eu

for name in "${ORCHESTRATE_CHROMIUM:-chromium}" chromium-browser google-chrome; do
    if command -v "$name" > /dev/null; then
        exit 0
    fi
done
if [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
    echo "setup: installing chromium"
    apt-get update
    DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
        chromium fonts-dejavu-core
else
    echo "setup: the tests need Chromium; run: sudo apt-get install chromium" >&2
    exit 3
fi
