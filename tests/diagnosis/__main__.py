"""Runs the cases for real, on the Docker engine.

python -m tests.diagnosis capture [CASE ...]        keep what each run leaves
python -m tests.diagnosis measure [CASE ...]        and measure it beside a plain run
python -m tests.diagnosis answers                   say anew what is said of what was kept
python -m tests.diagnosis --out docs/diagnosis.md   measure all, and write the page
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from tests.diagnosis.answers import answer, write_answers
from tests.diagnosis.capture import CAPTURES, read_capture
from tests.diagnosis.cases import BY_NAME, CASES, PROJECT, Case
from tests.diagnosis.live import make_image, run_case
from tests.diagnosis.measured import measured_rows, write_plain_run
from tests.diagnosis.page import fill, runs_section, signature_section
from tests.diagnosis.plain import run_plain

PLAIN_PROJECT = "plain"
ROOT = Path(__file__).resolve().parents[2]

T = TypeVar("T")


def main() -> int:
    """Do what was asked; 1 where an answer that was measured is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.diagnosis")
    parser.add_argument("verb", nargs="?", choices=["capture", "measure", "answers"])
    parser.add_argument("cases", nargs="*", metavar="CASE", help="all, if none is named")
    parser.add_argument("--out", type=Path, help="the page to write")
    options = parser.parse_args()
    cases = tuple(BY_NAME[name] for name in options.cases) or CASES
    verb = options.verb or "measure"
    if verb != "answers":
        _in_a_folder(partial(make_image, ROOT))
        _run(cases, with_plain=verb == "measure")
    write_answers({path.stem: answer(read_capture(path)) for path in CAPTURES.glob("*.jsonl")})
    rows = measured_rows()
    if options.out is not None:
        page = fill(options.out.read_text(), "runs", runs_section(rows))
        options.out.write_text(fill(page, "signatures", signature_section()))
    return 0 if all(row.is_right for row in rows) else 1


def _run(cases: Sequence[Case], *, with_plain: bool) -> None:
    CAPTURES.mkdir(exist_ok=True)
    for case in cases:
        with ThreadPoolExecutor() as pool:
            living = pool.submit(_in_a_folder, partial(run_case, case, PROJECT))
            plain = (
                pool.submit(_in_a_folder, partial(run_plain, case, PLAIN_PROJECT))
                if with_plain
                else None
            )
        judgement, capture = living.result()
        capture.write(CAPTURES / f"{case.name}.jsonl")
        if plain is not None:
            write_plain_run(case, plain.result())
        found = judgement.diagnosis
        print(f"{case.name}: {found.headline if found else 'nothing'}", flush=True)


def _in_a_folder(work: Callable[[Path], T]) -> T:
    with tempfile.TemporaryDirectory() as folder:
        return work(Path(folder))


if __name__ == "__main__":
    sys.exit(main())
