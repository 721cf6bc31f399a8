"""The fuzz target: any bytes as a playbook and as a log line. `make fuzz` runs it.

    python -m tests.fuzz.target [libFuzzer's options] FOLDER

libFuzzer needs an instrumented copy of the code: a process of its own, never pytest's.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["orchestrator"]):
    import orchestrator.playbook.loader
    import orchestrator.printable
    import orchestrator.records

from tests.fuzz.promise import assert_harmless, faults_of
from tests.fuzz.strategies import make_files


def _target(folder: Path, data: bytes) -> None:
    faults_of(data, folder)
    reader = orchestrator.records.RecordReader()
    for piece in (data, *data.split(b"\n")):
        reader.read(piece, is_full=len(piece) % 2 == 0)
        for part in orchestrator.printable.shown_parts(piece, records=True):
            for text in orchestrator.printable.log_lines(part):
                assert_harmless(text)


def main() -> None:
    """Fuzz until libFuzzer is told to stop, or something escapes."""
    with tempfile.TemporaryDirectory() as folder:
        home = make_files(Path(folder))
        atheris.Setup(sys.argv, lambda data: _target(home, data))
        atheris.Fuzz()


if __name__ == "__main__":
    main()
