"""Which files a `.dockerignore` lets in; the same table runs against real Docker in tests/e2e."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator.errors import ImageUnavailable
from orchestrator.images.context import Entry, Kind, context_entries
from orchestrator.images.ignorefile import PatternError, parse_ignore_file

TABLE = json.loads(Path(__file__).with_name("ignore_cases.json").read_text())


def make_tree(root: Path) -> None:
    for name in TABLE["tree"]:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)


def files_let_in(root: Path) -> list[str]:
    entries = context_entries(root)
    return [e.path for e in entries if e.kind is Kind.FILE and e.path != ".dockerignore"]


@pytest.mark.parametrize("name", TABLE["cases"])
def test_lets_in_what_docker_lets_in(name: str, tmp_path: Path) -> None:
    case = TABLE["cases"][name]
    make_tree(tmp_path)
    (tmp_path / ".dockerignore").write_text(case["ignore"])

    assert files_let_in(tmp_path) == sorted(case["lets_in"])


def test_entries_have_kinds_and_modes_and_leave_our_own_folder_out(tmp_path: Path) -> None:
    (tmp_path / "run.sh").write_text("")
    (tmp_path / "run.sh").chmod(0o755)
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("gone")
    (tmp_path / ".orchestrate" / "runs").mkdir(parents=True)

    assert context_entries(tmp_path) == [
        Entry("empty", Kind.FOLDER, executable=True),
        Entry("link", Kind.LINK, executable=False),
        Entry("run.sh", Kind.FILE, executable=True),
    ]


@pytest.mark.parametrize("line", ["!", "a[", "a[]", "x\\", "[b-a]"])
def test_a_line_that_docker_refuses_is_refused(line: str) -> None:
    with pytest.raises(PatternError):
        parse_ignore_file(line + "\n")


def test_a_bad_ignore_file_is_named(tmp_path: Path) -> None:
    (tmp_path / ".dockerignore").write_text("a[\n")

    with pytest.raises(ImageUnavailable) as caught:
        context_entries(tmp_path)

    assert str(caught.value) == (
        f"{tmp_path}/.dockerignore cannot be used: `a[` has an unfinished `[` or `\\`; "
        "mend that file"
    )
