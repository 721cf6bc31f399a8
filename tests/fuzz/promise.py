"""What is promised for any bytes at all: a playbook, or sane faults. Nothing else.

No pytest here: the fuzz target uses it in a process of its own.
"""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from typing import Final

from orchestrator.errors import Fault, InvalidPlaybook
from orchestrator.playbook.checking import MAX_FAULTS
from orchestrator.playbook.loader import load_text
from orchestrator.playbook.models import Playbook

NAME: Final = "x.yaml"
LONGEST_FAULT: Final = 2000
_LINE_BREAK = re.compile("\r\n|\r|\n")


def faults_of(data: bytes, folder: Path) -> tuple[Fault, ...]:
    """Load a playbook from memory and hold the loader to its promise.

    Args:
        data: the bytes of the file.
        folder: what its relative paths are relative to.

    Returns:
        The faults; none where it loaded.

    Raises:
        AssertionError: the promise is broken.
    """
    try:
        loaded = load_text(data, name=NAME, folder=folder)
    except InvalidPlaybook as exc:
        assert_sane(exc.faults, data)
        return exc.faults
    assert isinstance(loaded.playbook, Playbook)
    return ()


def assert_harmless(shown: str) -> None:
    """See that a line cannot steer a terminal: no control, format or line-breaking character."""
    kinds = {unicodedata.category(char) for char in shown.replace("\t", "")}
    assert kinds.isdisjoint(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")), ascii(shown)


def assert_sane(faults: tuple[Fault, ...], data: bytes) -> None:
    """See that there are faults, not too many, each a short printable line at a place there is."""
    assert 1 <= len(faults) <= MAX_FAULTS + 1
    assert list(faults) == sorted(set(faults))
    lengths = [len(line) for line in _LINE_BREAK.split(data.decode("utf-8", "replace"))]
    for fault in faults:
        assert str(fault).isprintable(), fault
        assert len(str(fault)) <= LONGEST_FAULT, fault
        assert fault.what, fault
        assert 1 <= fault.line <= len(lengths), fault
        assert 1 <= fault.column <= lengths[fault.line - 1] + 1, fault
