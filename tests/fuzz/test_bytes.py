"""Bytes: what libFuzzer once found, and a short run of it. `make fuzz` runs longer."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from orchestrator.records import parse_record
from tests.fuzz.fuzz import CRASHES, fuzz
from tests.fuzz.promise import faults_of
from tests.reliability.record import MALFORMED, RecordCase

_SECONDS = 10


def test_what_once_broke_the_promise_keeps_it(tmp_path: Path) -> None:
    for path in sorted(CRASHES.glob("*-*")):
        faults_of(path.read_bytes(), tmp_path)
        parse_record(path.read_bytes())


@pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None,
    reason="atheris has no wheel here: install the extra `fuzz` on Linux, x86-64, CPython to 3.14",
)
@pytest.mark.timeout(_SECONDS + 180)
def test_libfuzzer_finds_nothing_that_breaks_the_promise(record_case: RecordCase) -> None:
    done = fuzz(_SECONDS, seed=1)

    assert done.returncode == 0, done.stderr[-4000:]
    assert "DONE" in done.stderr
    num = int(done.stderr.partition("stat::number_of_executed_units:")[2].split()[0])
    kind = f"bytes by libFuzzer, {_SECONDS} s"
    record_case(MALFORMED, kind, inputs=num, refused="", read="", passed=num)
