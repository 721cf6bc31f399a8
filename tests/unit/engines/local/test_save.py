"""Keeping a node's log: all of it, or nothing that could be taken for it."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import pytest

from orchestrator.engines.local.logs import save
from orchestrator.engines.local.supervisor import LOG_FILE


def test_the_log_is_copied_byte_for_byte(tmp_path: Path) -> None:
    node, kept = tmp_path / "node", tmp_path / "kept"
    node.mkdir()
    kept.mkdir()
    (node / LOG_FILE).write_bytes(bytes(range(256)))
    save(node, kept / "node-0.log")
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == {
        "node-0.log": bytes(range(256))
    }


def test_a_node_that_never_ran_gives_an_empty_log(tmp_path: Path) -> None:
    save(tmp_path, tmp_path / "node-0.log")
    assert (tmp_path / "node-0.log").read_bytes() == b""


def test_a_full_disk_leaves_nothing_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(_source: Path, target: Path) -> None:
        target.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / LOG_FILE).write_bytes(b"whole")
    (tmp_path / "kept").mkdir()
    monkeypatch.setattr(shutil, "copyfile", half)
    with pytest.raises(OSError, match="No space left"):
        save(tmp_path, tmp_path / "kept" / "node-0.log")
    assert list((tmp_path / "kept").iterdir()) == []
