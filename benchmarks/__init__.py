"""Side-by-side measurements of orchestrate; run with `python -m benchmarks`.

No test depends on a time. Only what a user has is measured: the `orchestrate` command,
the `docker` command and a shell script.
"""
