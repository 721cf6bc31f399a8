"""`python -m tests.reliability --out docs/reliability.md`: run the tests, write the page."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from .page import render
from .record import RESULTS_FILE


def main() -> int:
    """Run the tests that record and render what they did; their exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.reliability", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="the page to write")
    options, more = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder:
        here = Path(__file__).parents[1]
        tests = [sys.executable, "-m", "pytest", str(here), "--reliability-out", folder, *more]
        code = subprocess.run(tests, check=False).returncode
        if code == 0:
            tables = json.loads((Path(folder) / RESULTS_FILE).read_text())
            options.out.write_text(render(tables))
    return code


if __name__ == "__main__":
    sys.exit(main())
