"""include: what merges, where paths lead, where faults are, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from orchestrator.errors import InvalidPlaybook
from orchestrator.playbook.loader import load
from orchestrator.playbook.models import Build, Joined, Mount, Playbook
from tests.reliability.record import RecordCase, record_inputs

BASE = """\
version: 1
image: {tag: app}
ranks:
  nodes: 2
  command: [python, train.py]
  env: {A: base, B: base}
health_checks: [joined, loss]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder `p` for playbooks beside a folder `common` for what they include."""
    for name in ("p", "common/data", "p/data"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "p")
    return tmp_path / "p"


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)


def loaded(text: str) -> Playbook:
    Path("p.yaml").write_text(text)
    return load(Path("p.yaml")).playbook


def faults(text: str) -> list[str]:
    with pytest.raises(InvalidPlaybook) as error:
        loaded(text)
    return [str(fault) for fault in error.value.faults]


# -- merging ---------------------------------------------------------------------


def test_mappings_merge_and_everything_else_is_replaced(folder: Path) -> None:
    write(folder, base=BASE)
    playbook = loaded(
        "include: base.yaml\nname: x\nhealth_checks: [joined]\n"
        "ranks: {nodes: 3, command: [sh], env: {B: own, C: own}}\n"
    )
    whole = (
        BASE.replace("nodes: 2", "nodes: 3")
        .replace("[python, train.py]", "[sh]")
        .replace("B: base", "B: own, C: own")
        .replace("[joined, loss]", "[joined]")
    )
    assert playbook == loaded(f"name: x\n{whole}")
    assert playbook.health_checks == (Joined(),)


def test_of_several_the_later_ones_win_and_they_may_include_others(folder: Path) -> None:
    write(
        folder,
        base=BASE,
        one="include: base.yaml\nranks: {env: {A: one, B: one}}",
        two="ranks: {env: {B: two}}",
    )
    playbook = loaded("include: [one.yaml, two.yaml]\nname: x\nranks: {env: {D: own}}\n")
    assert playbook.ranks.env == {"A": "one", "B": "two", "D": "own"}
    # The same file twice is no circle.
    again = loaded("include: [two.yaml, one.yaml, two.yaml, base.yaml]\nname: x\n")
    assert again.ranks.env == {"A": "base", "B": "base"}


def test_a_base_sees_the_variables_of_who_includes_it(folder: Path) -> None:
    write(folder, base=BASE.replace("nodes: 2", "nodes: '{{ n }}'") + "vars: {n: 2, m: {a: 1}}")
    assert loaded("include: base.yaml\nname: x\n").ranks.nodes == 2
    text = "include: base.yaml\nname: x{{ m.a }}{{ m.b }}\nvars: {n: 5, m: {b: 2}}\n"
    playbook = loaded(text)
    assert (playbook.ranks.nodes, playbook.name) == (5, "x12")


# -- paths -----------------------------------------------------------------------


def test_a_path_is_relative_to_the_file_that_it_is_written_in(folder: Path) -> None:
    (folder.parent / "common" / "Dockerfile").touch()
    common = BASE.replace("{tag: app}", "{tag: app, build: {dockerfile: Dockerfile}}") + (
        "vars: {data: data}\n"
    )
    mounts = "  mounts: [{source: '{{ data }}', target: /d, outside: true}]\n"
    write(folder.parent / "common", base=common.replace("  nodes", f"{mounts}  nodes"))
    playbook = loaded("include: ../common/base.yaml\nname: x\n")
    assert playbook.image.build == Build(context="../common", dockerfile="Dockerfile")
    assert playbook.ranks.mounts == (Mount(source="../common/data", target="/d", outside=True),)
    own = loaded(
        "include: ../common/base.yaml\nname: x\nranks: {mounts: [{source: ./data, target: /d}]}\n"
    )
    assert own.ranks.mounts == (Mount(source="./data", target="/d"),)


def test_a_mount_of_a_base_is_held_against_the_playbooks_folder(folder: Path) -> None:
    mounts = "ranks: {mounts: [{source: data, target: /d}]}"
    write(folder.parent / "common", base=mounts)
    assert faults(
        f"include: ../common/base.yaml\nname: x\n{BASE}".replace("ranks:\n", "ranks:\n")
    ) == [
        "../common/base.yaml:1:27: ranks.mounts[0].source: '../common/data' leaves the playbook's "
        "folder; say outside: true if meant"
    ]


# -- faults ----------------------------------------------------------------------


def test_a_fault_is_where_it_stands(folder: Path) -> None:
    write(folder, base=BASE.replace("nodes: 2", "nodes: no") + "vars: {t: '{{ nope }}'}\n")
    assert faults("include: base.yaml\nname: X\nnetwork: {name: '{{ t }}'}\n") == [
        "base.yaml:4:10: ranks.nodes: expected a whole number, found the text 'no'; "
        "write digits only",
        "base.yaml:8:12: vars.t: nope is not defined; add it to vars, or give -e nope=…",
        "p.yaml:2:7: name: the text 'X' is not a name; use lower-case letters, digits and -, at "
        "most 40, the first one not -",
    ]


def test_what_a_fault_shows_is_the_line_of_its_own_file(folder: Path) -> None:
    write(folder, base="# one\nnmae: x\n")
    Path("p.yaml").write_text(f"include: base.yaml\nname: x\n{BASE}")
    with pytest.raises(InvalidPlaybook) as error:
        load(Path("p.yaml"))
    (fault,) = error.value.faults
    (snippet,) = fault.snippets
    assert (fault.file, snippet.file, snippet.text, snippet.width) == (
        "base.yaml", "base.yaml", "nmae: x", 4,
    )  # fmt: skip


def test_a_circle_is_named(folder: Path) -> None:
    write(folder, a="include: b.yaml", b="include: [c.yaml]", c="include: a.yaml")
    assert (
        "c.yaml:1:10: include: 'a.yaml' includes itself: a.yaml -> b.yaml -> c.yaml -> a.yaml"
        in (fault.split("; ")[0] for fault in faults("include: a.yaml\nname: x\n"))
    )
    own = faults(f"include: p.yaml\nname: x\n{BASE}")
    assert own == ["p.yaml:1:10: include: 'p.yaml' includes itself: p.yaml -> p.yaml; leave it out"]


def test_a_link_to_itself_is_a_circle_too(folder: Path) -> None:
    (folder / "link.yaml").symlink_to("p.yaml")
    own = faults(f"include: link.yaml\nname: x\n{BASE}")
    assert own == [
        "p.yaml:1:10: include: 'link.yaml' includes itself: p.yaml -> p.yaml; leave it out"
    ]


def test_depth_and_number_are_bounded(folder: Path) -> None:
    for number in range(20):
        write(folder, **{f"f{number}": f"include: f{number + 1}.yaml"})
    deep = faults(f"include: f0.yaml\nname: x\n{BASE}")
    assert deep == [
        "f9.yaml:1:10: include: 'f10.yaml' is included through more than 10 files; leave it out"
    ]
    write(folder, many=f"include: [{', '.join(['leaf.yaml'] * 30)}]", leaf="gpu: {mode: cpu}")
    many = faults(f"include: [many.yaml, many.yaml]\nname: x\n{BASE}")
    assert many[0].startswith("many.yaml:1:198: include: 'leaf.yaml' is one of more than 50")


BAD_INCLUDES: dict[str, str] = {
    '"a\\e[2J\\u202e.yaml"': (
        "p.yaml:1:10: include: 'a\\x1b[2J\\u202e.yaml': no such file; check the path"
    ),
    "a" * 3000: (
        f"p.yaml:1:10: include: '{'a' * 199}…': the file cannot be read: file name too long; "
        "check the path"
    ),
    "nope.yaml": "p.yaml:1:10: include: nope.yaml: no such file; check the path",
    "data": "p.yaml:1:10: include: data: this is a folder, not a file; give the path of a playbook",
    "pipe": "p.yaml:1:10: include: pipe: this is a pipe, not a file; give the path of a playbook",
    "[base.yaml, nope.yaml]": "p.yaml:1:22: include: nope.yaml: no such file; check the path",
    "'{{ b }}.yaml'": (
        "p.yaml:1:10: include: a template: files are read before variables are known; "
        "write the path"
    ),
    "7": "p.yaml:1:10: include: expected the path of a file, or a list of them; "
    "write include: base.yaml",
    "[base.yaml, {a: b}]": "p.yaml:1:22: include: expected the path of a file, or a list of "
    "them; write include: base.yaml",
    "list.yaml": "list.yaml:1:1: an included file must be a mapping; write keys and values",
    "empty.yaml": "empty.yaml:1:1: the file is empty; write a playbook into it",
    "bytes.yaml": "bytes.yaml:1:4: byte 0xff is not UTF-8; save the file as UTF-8",
    "broken.yaml": "broken.yaml:1:5: not valid YAML: a value is missing here; "
    "check indentation, brackets and quotes near this place",
    "{{ b }}": "p.yaml:1:10: include: without quotes {{ begins a YAML mapping, not a template; "
    'quote it: "{{ b }}"',
}


@pytest.mark.parametrize(("include", "fault"), BAD_INCLUDES.items())
def test_what_cannot_be_included_is_said(
    include: str, fault: str, folder: Path, record_case: RecordCase
) -> None:
    write(folder, base="{}", list="[a]", empty="", broken="a: {")
    (folder / "bytes.yaml").write_bytes(b"a: \xff")
    os.mkfifo("pipe")
    assert faults(f"include: {include}\nname: x\n{BASE}") == [fault]
    record_inputs(record_case, "variables, templates and includes, fault by fault", refused=1)


def test_a_fault_of_an_included_file_hides_no_other(folder: Path) -> None:
    found = faults("include: nope.yaml\nname: X\nversion: 2\n")
    assert [fault.split(": ")[1] for fault in found if "missing" not in fault] == [
        "include", "name", "version",
    ]  # fmt: skip
