"""The copy of the probe that nodes see: whole, open to every user, and never half of one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.engines.probe_files import place
from orchestrator.errors import FolderUnusable


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Path]:
    """Two files as a strict umask installs them, and what Python left beside them."""
    before = os.umask(0o077)
    site = tmp_path / "site"
    (site / "orchestrate_probe" / "__pycache__").mkdir(parents=True)
    (site / "sitecustomize.py").write_text("import orchestrate_probe\n")
    (site / "orchestrate_probe" / "__init__.py").write_text("print(1)\n")
    (site / "orchestrate_probe" / "__pycache__" / "__init__.pyc").write_text("old")
    yield site
    os.umask(before)


MODES = {
    ".": 0o755,
    "sitecustomize.py": 0o644,
    "orchestrate_probe": 0o755,
    "orchestrate_probe/__init__.py": 0o644,
}


def modes(folder: Path) -> dict[str, int]:
    found = [folder, *folder.rglob("*")]
    return {path.relative_to(folder).as_posix(): path.stat().st_mode & 0o7777 for path in found}


def test_any_user_may_read_the_copy_whatever_the_umask(tmp_path: Path, site: Path) -> None:
    copy = place(tmp_path / "state" / "probe", site)
    assert modes(copy) == MODES
    assert (copy / "sitecustomize.py").read_text() == "import orchestrate_probe\n"
    assert sorted(os.listdir(copy.parent)) == [copy.name]


def test_the_same_files_are_copied_once_and_others_beside_them(tmp_path: Path, site: Path) -> None:
    first = place(tmp_path / "probe", site)
    number = first.stat().st_ino
    assert (place(tmp_path / "probe", site), first.stat().st_ino) == (first, number)
    (site / "sitecustomize.py").write_text("pass\n")
    second = place(tmp_path / "probe", site)
    assert sorted(os.listdir(tmp_path / "probe")) == sorted([first.name, second.name])
    assert (first / "sitecustomize.py").read_text() == "import orchestrate_probe\n"


def _cut(copy: Path) -> None:
    (copy / "sitecustomize.py").write_text("")


def _locked(copy: Path) -> None:
    (copy / "orchestrate_probe").chmod(0o700)


def _added(copy: Path) -> None:
    (copy / "torch.py").write_text("evil")


def _emptied(copy: Path) -> None:
    for path in sorted(copy.rglob("*.py")):
        path.unlink()


@pytest.mark.parametrize("harm", [_cut, _locked, _added, _emptied])
def test_a_damaged_copy_is_made_anew(harm: object, tmp_path: Path, site: Path) -> None:
    copy = place(tmp_path / "probe", site)
    harm(copy)  # type: ignore[operator]
    assert place(tmp_path / "probe", site) == copy
    assert modes(copy) == MODES
    assert os.listdir(copy.parent) == [copy.name]


def test_where_nothing_can_be_written_it_says_so(tmp_path: Path, site: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(FolderUnusable) as caught:
        place(tmp_path / "state" / "probe", site)
    assert (caught.value.what, caught.value.fix) == (
        f"the folder {tmp_path}/state/probe cannot be used for the probe: Not a directory",
        "make it yours and writable, set XDG_STATE_HOME, or say probe: off",
    )
