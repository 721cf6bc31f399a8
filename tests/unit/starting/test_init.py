"""`init`: whole playbooks for each kind, nothing overwritten unasked, and a terminal to ask at."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

from orchestrator.commands.starting import project_name
from orchestrator.errors import ExitCode
from orchestrator.images.context import Kind, context_entries
from orchestrator.playbook.loader import load
from orchestrator.starting import shipped
from orchestrator.starting.answers import Answers, draft_of
from orchestrator.starting.draft import Draft, Template
from tests.unit.desk import Desk, desk

__all__ = ["desk"]

ROOT = Path(__file__).resolve().parents[3]
GOLDEN = Path(__file__).parents[1] / "golden" / "init"

KINDS = {
    "trainer": ("init", "demo", "--kind", "trainer", "--yes"),
    "script": ("init", "demo", "--script", "code/my.py", "--gpu", "shared", "--nodes", "3"),
    "image": (
        "init",
        "demo",
        "--image",
        "my/train:1",
        "--nodes",
        "8",
        "--",
        "sh",
        "-c",
        "a {{ b }}",
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_playbook_of_each_kind(kind: str, desk: Desk) -> None:
    (desk.folder / "code").mkdir()
    desk.write("", "code/my.py")
    said = desk.run(*KINDS[kind])
    assert (said.code, said.err) == (0, "")
    path = desk.folder / "demo/playbook.yaml"
    assert path.read_text() == (GOLDEN / f"{kind}.yaml").read_text()
    schema = json.loads((desk.folder / "demo/playbook.schema.json").read_text())
    jsonschema.validate(yaml.safe_load(path.read_text()), schema)
    assert desk.run("validate", str(path)).code == 0


def test_what_the_image_is_built_from_is_what_this_project_builds(desk: Desk) -> None:
    desk.run(*KINDS["trainer"])
    folder = desk.folder / "demo/image"
    ours = {entry.path for entry in context_entries(ROOT) if entry.kind is Kind.FILE}
    made = {entry.path for entry in context_entries(folder) if entry.kind is Kind.FILE}
    assert made == {*ours, "docker/Dockerfile", ".dockerignore"}
    assert len(ours) > 10
    assert all((folder / path).read_bytes() == (ROOT / path).read_bytes() for path in ours)
    dockerfile = (folder / "docker/Dockerfile").read_bytes()
    assert dockerfile == (ROOT / "docker/Dockerfile").read_bytes()


def test_what_was_written_is_said(desk: Desk) -> None:
    first = desk.run("init", "--kind", "script", "--yes", "--name", "mine")
    assert first.out.splitlines() == [
        "wrote image/",
        "wrote playbook.schema.json",
        "wrote playbook.yaml",
        "wrote train.py",
        "next:",
        "  orchestrate validate playbook.yaml",
        "  orchestrate plan playbook.yaml",
        "  orchestrate apply playbook.yaml",
    ]
    assert (desk.folder / "train.py").read_bytes() == shipped.starter_script()
    assert load(Path("playbook.yaml")).playbook.name == "mine"


def test_nothing_is_overwritten_unasked(desk: Desk) -> None:
    desk.write("mine\n", "playbook.yaml")
    refused = desk.run("init", "--image", "i", "--", "c")
    assert (refused.code, refused.err) == (
        ExitCode.NAME_TAKEN,
        "orchestrate: playbook.yaml is there already; name another file, or say --force to replace"
        " what is there\n",
    )
    assert (desk.folder / "playbook.yaml").read_text() == "mine\n"
    assert not (desk.folder / "playbook.schema.json").exists()
    forced = desk.run("init", "--force", "--json", "--image", "i", "--", "c")
    assert forced.document == {
        "playbook": "playbook.yaml",
        "made": ["playbook.schema.json"],
        "replaced": ["playbook.yaml"],
        "notes": [],
    }
    again = desk.run("init", "--json", "--image", "i", "--", "c")
    assert (again.code, again.document["made"], again.document["replaced"]) == (0, [], [])


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("init",), "there is no terminal to ask at: give --kind trainer, script, image, --from,"),
        (("init", "--kind", "image"), "there is no terminal to ask at: give --image NAME"),
        (("init", "--image", "i"), "give the command at the end: -- python train.py"),
        (("init", "--script", "absent.py"), "there is no script absent.py"),
        (("init", "--from", "absent.sh"), "--from: there is no file absent.sh"),
        (("init", "--gpu", "many"), "Invalid value for '--gpu'"),
    ],
)
def test_without_a_terminal_the_flags_are_named(
    argv: tuple[str, ...], words: str, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    said = desk.run(*argv)
    assert (said.code, said.out) == (ExitCode.USAGE, "")
    assert words in said.err
    assert [path.name for path in desk.folder.iterdir()] == ["pair.yaml"]


def test_a_playbook_that_would_not_hold_leaves_nothing(desk: Desk) -> None:
    said = desk.run("init", "new/folder", "--kind", "trainer", "--yes", "--name", "Bad Name")
    assert said.code == ExitCode.INVALID_PLAYBOOK
    assert said.err.startswith("new/folder/playbook.yaml:8:7: name: the text 'Bad Name' is not")
    assert not (desk.folder / "new").exists()


def test_a_folder_that_cannot_be_written(desk: Desk) -> None:
    desk.write("", "file")
    said = desk.run("init", "file/below", "--image", "i", "--", "c")
    assert (said.code, said.err) == (
        ExitCode.FOLDER_UNUSABLE,
        "orchestrate: file/below: not a directory\n",
    )


def test_what_commands_need_and_is_not_here_is_named_when_the_playbook_is_written(
    desk: Desk,
) -> None:
    command = "docker run -v ./absent:/x my/train:1 python train.py"
    said = desk.run("init", "made.yaml", "--json", "--from", command)
    assert said.code == ExitCode.INVALID_PLAYBOOK
    assert [fault["what"] for fault in said.document["faults"]] == [
        "'./absent': no such file or directory"
    ]
    assert (desk.folder / "made.yaml").exists()
    plain = desk.run("init", "made.yaml", "--from", command)
    assert plain.err.startswith("made.yaml:17:16: ranks.mounts[0].source: './absent': no such")


def test_commands_come_by_standard_input_too(desk: Desk, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator", "init", "in.yaml", "--from", "-"],
        input="docker run my/train:1 python train.py\n",
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stderr == ""
    assert load(tmp_path / "in.yaml").playbook.image.tag == "my/train:1"


def test_a_closed_standard_input_is_nobody_to_ask(desk: Desk) -> None:
    command = f"exec {sys.executable} -m orchestrator init"
    codes = [
        subprocess.run(
            ["sh", "-c", f"{command} {more} <&-"], capture_output=True, timeout=60, check=False
        ).returncode
        for more in ("", "--from -")
    ]
    assert codes == [ExitCode.USAGE, ExitCode.INVALID_PLAYBOOK]


def test_a_person_is_asked_at_a_terminal(desk: Desk) -> None:
    master, slave = pty.openpty()
    # Typed ahead: the terminal keeps it until it is read, so nothing depends on time.
    os.write(master, b"image\nmy/train:1\npython 'my train.py'\nasked\n4\n\n\n")
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator", "init"],
        stdin=slave,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    os.close(slave)
    os.close(master)
    playbook = load(desk.folder / "playbook.yaml").playbook
    assert (playbook.name, playbook.image.tag, playbook.ranks.nodes, playbook.ranks.command) == (
        "asked",
        "my/train:1",
        4,
        ("python", "my train.py"),
    )
    assert done.stderr.startswith("What shall run (trainer, script, image) [trainer]: ")
    assert done.stdout.splitlines()[0] == "wrote playbook.schema.json"


def test_names_that_a_project_may_have() -> None:
    found = [project_name(text) for text in ("My Project!", "a" * 50, "é", "-x-", "2024_run")]
    assert found == ["my-project", "a" * 40, "train", "x", "2024-run"]


TEXTS = (
    "-|no|1|0755|22:22|a: b|#x|x #y|é\u202e|\x1b\U0001f600|{{ x }}|{% if %}|~|a\nb|'|\"\\|-x|*a"
    "|&a|!t|@|`|%"
)


@pytest.mark.parametrize("value", TEXTS.split("|"))
def test_any_text_is_read_as_it_was(value: str, tmp_path: Path) -> None:
    command = ["x", value]
    document = {
        "version": 1,
        "name": "t",
        "image": {"tag": "i"},
        "ranks": {
            "nodes": 1,
            "command": command,
            "env": {"A": value, "B": Template("{{ 1 + 1 }}")},
        },
    }
    (tmp_path / "t.yaml").write_text(Draft(("a\nb: c",), document, {"name": "x\ny: z"}).text)
    ranks = load(tmp_path / "t.yaml").playbook.ranks
    assert (list(ranks.command), ranks.env) == (command, {"A": value, "B": "2"})


def test_a_world_that_the_trainers_batch_does_not_fit_gets_a_batch_that_does() -> None:
    command = draft_of(Answers("trainer", "x", nodes=3)).document["ranks"]["command"]
    assert command[-2:] == ["--global-batch-size", "6"]
