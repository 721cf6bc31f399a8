#!/bin/sh
# Runs every test: tests/run.sh [PYTEST ARGUMENT...]
# Those that need neither an engine nor PyTorch share the cores out among them. The others start
# processes that use every core, so they run one after the other, and alone.
PYTEST=${PYTEST:-.venv/bin/pytest}
status=0

run() {
    "$PYTEST" "$@"
    code=$?
    # 5: the arguments name no test of this half.
    [ "$code" -eq 0 ] || [ "$code" -eq 5 ] || status=$code
}

run -n auto --maxprocesses 8 --dist worksteal -m "not docker and not torch" "$@"
run -m "docker or torch" "$@"
exit "$status"
