"""A signal that comes at a bad moment is kept for a better one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import signal, time
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever runs these tests under nohup has it ignored
from orchestrator.commands.signals import take_signals
from orchestrator.errors import Interrupted
take_signals()
try:
    import interrupted
    print("imported", flush=True)
    time.sleep(60)
except Interrupted:
    print("interrupted")
"""
MODULES = {
    "plainly": "os.kill(os.getpid(), number)",
    "where Python makes another error of it": (
        "class Attribute:\n"
        "    def __set_name__(self, owner, name): os.kill(os.getpid(), number)\n"
        "class Owner:\n"
        "    attribute = Attribute()\n"
    ),
    "where it would be lost": (
        "class Kept:\n    def __del__(self): os.kill(os.getpid(), number)\nKept()\n"
    ),
}


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("module", MODULES.values(), ids=MODULES)
def test_an_import_is_not_interrupted_and_what_follows_it_is(
    module: str, number: str, tmp_path: Path, repository: Path
) -> None:
    head = f"import os, signal\nnumber = signal.{number}\n"
    (tmp_path / "interrupted.py").write_text(head + module)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        check=False,
        env={"PYTHONPATH": f"{tmp_path}:{repository}"},
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert (done.stdout, done.stderr) == ("imported\ninterrupted\n", "")
