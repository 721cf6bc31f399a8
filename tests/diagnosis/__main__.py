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
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from orchestrator.verify.diagnose import Diagnosis
from tests.diagnosis.answers import answer, diagnosed, write_answers
from tests.diagnosis.capture import CAPTURES, read_capture
from tests.diagnosis.cases import BY_NAME, CASES, PROJECT, Case
from tests.diagnosis.live import Lived, make_image, run_case
from tests.diagnosis.measured import Row, read_rows, write_rows
from tests.diagnosis.page import fill, runs_section, signature_section
from tests.diagnosis.plain import Plain, run_plain

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
    rows = tuple(_judged_anew(row) for row in read_rows())
    write_rows(rows)
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
        lived = living.result()
        lived.capture.write(CAPTURES / f"{case.name}.jsonl")
        if plain is not None:
            write_rows([_row(case, lived, plain.result())])
        found = lived.judgement.diagnosis
        print(f"{case.name}: {found.headline if found else 'nothing'}", flush=True)


def _judged_anew(row: Row) -> Row:
    """The row with what is said of its capture now: times stay as they were measured."""
    found = diagnosed(read_capture(CAPTURES / f"{row.case}.jsonl"))
    headline, is_right = _verdict(BY_NAME[row.case], found)
    return replace(row, wrong=BY_NAME[row.case].wrong, headline=headline, is_right=is_right)


def _verdict(case: Case, found: Diagnosis | None) -> tuple[str, bool]:
    """What was said, and whether it is right."""
    if found is None:
        return "", False
    return found.headline, found.cause in case.causes and found.rank in case.ranks


def _row(case: Case, lived: Lived, plain: Plain) -> Row:
    headline, is_right = _verdict(case, lived.judgement.diagnosis)
    return Row(
        case.name,
        case.wrong,
        headline,
        is_right,
        lived.since,
        round(lived.answered_after_s, 1),
        plain.node_rank,
        None if plain.ended_after_s is None else round(plain.ended_after_s, 1),
        plain.last_line,
    )


def _in_a_folder(work: Callable[[Path], T]) -> T:
    with tempfile.TemporaryDirectory() as folder:
        return work(Path(folder))


if __name__ == "__main__":
    sys.exit(main())
