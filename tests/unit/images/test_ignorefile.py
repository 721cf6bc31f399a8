"""Which files a `.dockerignore` lets in; the same table runs against real Docker in tests/e2e."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.errors import ImageUnavailable
from orchestrator.images.context import Entry, Kind, context_entries
from orchestrator.images.ignorefile import PatternError, parse_ignore_file

TREE = ("a.txt", "b.pyc", "keep/x.txt", "keep/y.log", "keep/deep/z.log", "keep/deep/k.txt", "[x]")

# The legacy builder does not look into a folder that is shut out for an exception like this.
BUILDKIT_ONLY = "exception with wildcards below"

CASES = {
    "nothing": ("", list(TREE)),
    "comment and blank": ("# a.txt\n\n  \n", list(TREE)),
    "indented hash is a pattern": ("  #a.txt\n", list(TREE)),
    "anchored at the root": ("x.txt\ny.log\n", list(TREE)),
    "leading slash": (
        "/a.txt\n",
        ["b.pyc", "keep/x.txt", "keep/y.log", "keep/deep/z.log", "keep/deep/k.txt", "[x]"],
    ),
    "a folder takes all below it": ("keep/\n", ["a.txt", "b.pyc", "[x]"]),
    "star stays in its folder": (
        "*/*.log\n",
        ["a.txt", "b.pyc", "keep/x.txt", "keep/deep/z.log", "keep/deep/k.txt", "[x]"],
    ),
    "two stars span folders": (
        "**/*.log\n",
        ["a.txt", "b.pyc", "keep/x.txt", "keep/deep/k.txt", "[x]"],
    ),
    "two stars at the end": ("keep/**\n", ["a.txt", "b.pyc", "[x]"]),
    "two stars in the middle": (
        "keep/**/k.txt\n",
        ["a.txt", "b.pyc", "keep/x.txt", "keep/y.log", "keep/deep/z.log", "[x]"],
    ),
    "let in only": ("*\n!keep/deep\n", ["keep/deep/z.log", "keep/deep/k.txt"]),
    "the last match wins": ("*\n!keep\nkeep/deep\n", ["keep/x.txt", "keep/y.log"]),
    "exception, then shut out again": ("!a.txt\na.txt\nkeep\n", ["b.pyc", "[x]"]),
    "a class": ("[ab].*\n", [p for p in TREE if p not in {"a.txt", "b.pyc"}]),
    "a negated class": ("[^a].*\n", [p for p in TREE if p != "b.pyc"]),
    "an escape": ("\\[x]\n", [p for p in TREE if p != "[x]"]),
    "question mark": (
        "keep/?.txt\n",
        ["a.txt", "b.pyc", "keep/y.log", "keep/deep/z.log", "keep/deep/k.txt", "[x]"],
    ),
    "dots are no wildcards": ("a?txt\nb.py.\n", [p for p in TREE if p != "a.txt"]),
    "cleaned": ("./keep//deep/../deep/\n", ["a.txt", "b.pyc", "keep/x.txt", "keep/y.log", "[x]"]),
    "space after the mark": ("*\n! a.txt\n", ["a.txt"]),
    "a parent's match is not looked at again": (
        "keep\n!keep/deep\nke*\n",
        ["a.txt", "b.pyc", "[x]", "keep/deep/z.log", "keep/deep/k.txt"],
    ),
    BUILDKIT_ONLY: ("keep\n!**/k.txt\n", ["a.txt", "b.pyc", "keep/deep/k.txt", "[x]"]),
    "this repository's way": (
        "*\n!keep\n!a.txt\n**/deep\n**/*.py[co]\n",
        ["a.txt", "keep/x.txt", "keep/y.log"],
    ),
}


def make_tree(root: Path) -> None:
    for name in TREE:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)


def files_let_in(root: Path) -> list[str]:
    entries = context_entries(root)
    return [e.path for e in entries if e.kind is Kind.FILE and e.path != ".dockerignore"]


@pytest.mark.parametrize("name", CASES)
def test_lets_in_what_docker_lets_in(name: str, tmp_path: Path) -> None:
    text, expected = CASES[name]
    make_tree(tmp_path)
    (tmp_path / ".dockerignore").write_text(text)

    assert files_let_in(tmp_path) == sorted(expected)


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
