"""`python -m tests.diagnosis capture [CASE ...]`: run the cases, keep what they leave."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.diagnosis.capture import CAPTURES
from tests.diagnosis.cases import CASES, PROJECT
from tests.diagnosis.live import run_case


def main() -> int:
    names = sys.argv[2:]
    CAPTURES.mkdir(exist_ok=True)
    for case in CASES:
        if names and case.name not in names:
            continue
        with tempfile.TemporaryDirectory() as folder:
            judgement, capture = run_case(case, PROJECT, Path(folder))
            capture.write(CAPTURES / f"{case.name}.jsonl")
            print(case.name, judgement.failure, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
