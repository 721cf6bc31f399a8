"""Every command and every playbook in the docs: run, or at least understood by the program."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from orchestrator import cli
from orchestrator.playbook.loader import load_text
from orchestrator.playbook.models import Playbook
from tests.docs.blocks import PAGES, ROOT, Block, all_blocks, blocks_of
from tests.docs.story import run

CHEAP = ("starting.md", "howto-gpu.md", "howto-resume.md", "howto-hang.md", "howto-ci.md", "api.md")
"""Pages that are run from top to bottom without an engine but the embedded one, and no torch."""

TUTORIAL = "tutorial.md"

ON_A_RUN = ("report.md", "results.md")
"""Pages that speak of a run of project `train`: their commands are run on one, and succeed."""

SHOWN = {
    "README.md": "its runs are those of tests/e2e/test_training.py and tests/diagnosis",
    "checks.md": "lines of runs that failed; tests/e2e/test_checks.py makes them",
    "console.md": "what a terminal shows; tests of the board render it",
    "diagnosis.md": "lines of runs that failed; tests/diagnosis makes them",
    "doctor.md": "what it says depends on the machine; tests/unit/doctor has it",
    "gpu.md": "needs GPUs; tests/e2e/test_gpus.py has stand-ins",
    "images.md": "two machines, one without a network; tests/e2e/test_image_build.py",
    "plan.md": "tests/e2e/test_lifecycle.py and the golden plans",
    "records.md": "lines of nodes",
    "security.md": "needs secrets of a shell; tests/e2e/test_secrets.py",
    "trainer.md": "needs torch; tests/trainer",
    "variables.md": "tests/unit/playbook/test_variables_page.py runs it",
}
"""Pages whose blocks are shown and not run, with what runs the same."""


def of(page: str) -> list[Block]:
    return list(blocks_of(ROOT / "docs" / page))


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """An environment in which nothing of the user's is found."""
    unset = {"DOCKER_CONTEXT": "", "XDG_DATA_HOME": "", "XDG_CONFIG_HOME": ""}
    own = {"HOME": str(tmp_path / "home"), "ORCHESTRATE_LOCAL_ROOT": str(tmp_path / "local")}
    return {**unset, **own, "NO_COLOR": "1"}


def test_every_block_is_run_or_says_what_runs_the_same() -> None:
    pages = {block.page for block in all_blocks("sh", "console", "python")}
    assert pages - {*CHEAP, *ON_A_RUN, TUTORIAL} - SHOWN.keys() == set()
    assert all(block.said for block in all_blocks("sh", "console") if block.mark == "not run")


@pytest.mark.parametrize("block", all_blocks("sh", "console"), ids=str)
def test_every_orchestrate_command_is_one(block: Block) -> None:
    for words in block.orchestrate_lines():
        if words[:1] in (("--help",), ("--version",)):
            continue
        verb, *arguments = words
        assert verb in cli.app.commands, f"{block}: {verb}"
        cli.app.commands[verb].make_context(verb, arguments)


def test_a_command_that_is_wrong_is_found() -> None:
    block = Block("x.md", 1, "console", "$ A=1 orchestrate plan --jsno p  # why\nsaid\n")
    ((verb, *arguments),) = block.orchestrate_lines()
    with pytest.raises(click.UsageError):
        cli.app.commands[verb].make_context(verb, arguments)


def test_the_job_for_github_actions_runs_commands_that_exist() -> None:
    job = yaml.safe_load((ROOT / "docs/github-actions.yml").read_text())["jobs"]["ranks"]
    typed = "".join(f"{step['run']}\n" for step in job["steps"] if "run" in step)
    found = list(Block("github-actions.yml", 1, "sh", typed).orchestrate_lines())
    assert [words[0] for words in found] == ["validate", "apply", "support-bundle", "destroy"]
    for verb, *arguments in found:
        cli.app.commands[verb].make_context(verb, arguments)


BASE = {
    "version": 1,
    "name": "base",
    "image": {"tag": "i:1"},
    "ranks": {"nodes": 2, "command": ["c"]},
}


def playbooks() -> Iterator[Block]:
    """Blocks that are playbooks, or pieces of one."""
    keys = {*Playbook.model_json_schema(by_alias=True)["properties"], "include", "vars"}
    for block in all_blocks("yaml"):
        found = yaml.safe_load(block.text)
        if isinstance(found, dict) and found.keys() <= keys:
            yield block


@pytest.mark.parametrize("block", list(playbooks()), ids=str)
def test_every_playbook_holds(
    block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HF_TOKEN", "MY_S3_KEY", "WANDB_API_KEY"):
        monkeypatch.setenv(name, "x")
    for name in ("data/x", "checkpoints/x", "scripts/x", "wandb.key", "common.env"):
        (tmp_path / "here" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "here" / name).write_text("A=1\n")
    shutil.copytree(ROOT / "docker", tmp_path / "docker")  # of a context `..`
    for other in all_blocks("yaml"):
        first = other.text.partition("\n")[0]
        if other.page == block.page and first.startswith("# ") and first.endswith(".yaml"):
            (tmp_path / "here" / first[2:]).write_text(other.text)
    text = block.text
    if "version" not in yaml.safe_load(text) and "include" not in yaml.safe_load(text):
        text = yaml.safe_dump(_laid_over(BASE, yaml.safe_load(text)), sort_keys=False)
    if "name" in yaml.safe_load(text):
        load_text(text.encode(), name="x.yaml", folder=tmp_path / "here")


def _laid_over(base: dict[str, Any], piece: dict[str, Any]) -> dict[str, Any]:
    """A piece with what a playbook must have besides."""
    return base | {
        key: _laid_over(base[key], of) if isinstance(base.get(key), dict) else of
        for key, of in piece.items()
    }


@pytest.mark.parametrize("page", CHEAP)
def test_a_page_is_run_from_top_to_bottom(page: str, tmp_path: Path, home: dict[str, str]) -> None:
    no_docker = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}
    typed = run(of(page), tmp_path, home | no_docker)
    assert [fault for each in typed for fault in each.faults()] == []
    assert typed


TRAIN = """\
version: 1
name: train
image: {tag: "any:1"}
rendezvous: {port: 28478}
ranks: {nodes: 2, command: [echo, hello]}
health_checks: [{completed: {within: 60s}}]
"""


@pytest.mark.parametrize("page", ON_A_RUN)
def test_commands_on_a_run_succeed(page: str, tmp_path: Path, home: dict[str, str]) -> None:
    (tmp_path / "train.yaml").write_text(TRAIN)
    first = Block(page, 1, "sh", "orchestrate apply train.yaml --engine local --plain\n")
    no_docker = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}
    typed = run([first, *of(page)], tmp_path, home | no_docker)
    assert [each.code for each in typed] == [0] * len(typed), [each.out for each in typed]
    assert len(typed) > 1


@pytest.mark.parametrize(
    "block", [each for each in all_blocks("yaml") if each.mark == "shows"], ids=str
)
def test_what_a_page_shows_of_a_file_is_that_file(block: Block, tmp_path: Path) -> None:
    if (ROOT / "docs" / block.said).exists():
        assert block.text == (ROOT / "docs" / block.said).read_text()
        return
    guide = next(each for each in of(block.page) if each.said == "guide.sh")
    (tmp_path / "guide.sh").write_text(guide.text)
    subprocess.run(
        [sys.executable, "-m", "orchestrator", "init", block.said, "--from", "guide.sh"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        timeout=60,
    )
    assert block.text == (tmp_path / block.said).read_text()


@pytest.fixture
def image(tmp_path: Path) -> None:
    """The image that `make demo` makes, from the files of this checkout."""
    text = (ROOT / "playbooks/two-rank.yaml").read_text()
    section = text[text.index("image:") : text.index("\nranks:")].replace("..", str(ROOT))
    playbook = f"version: 1\nname: docs-image\n{section}ranks: {{nodes: 1, command: ['true']}}\n"
    (tmp_path / "image.yaml").write_text(playbook)
    for verb in (("apply", "--detach", "image.yaml"), ("destroy", "docs-image")):
        subprocess.run(
            [sys.executable, "-m", "orchestrator", *verb, "--engine", "docker"],
            cwd=tmp_path,
            check=True,
            capture_output=True,
            timeout=1500,
        )


@pytest.mark.docker
@pytest.mark.torch
@pytest.mark.timeout(1800)
@pytest.mark.usefixtures("image")
def test_the_tutorial_word_by_word(tmp_path: Path, home: dict[str, str]) -> None:
    (tmp_path / "somewhere").mkdir()
    try:
        typed = run(of(TUTORIAL), tmp_path / "somewhere", home)
    finally:
        gone = [sys.executable, "-m", "orchestrator", "destroy", "first-run", "--grace", "0"]
        subprocess.run(gone, check=True, capture_output=True, timeout=120)
    assert [fault for each in typed for fault in each.faults()] == []
    left = subprocess.run(
        ["docker", "ps", "-aq", "--filter", "name=first-run-node"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert left.stdout == ""


def test_a_page_that_is_wrong_is_found(tmp_path: Path) -> None:
    block = Block("x.md", 1, "console", "$ echo a 1.5 s b\na 2 s …\n$ false\n$ echo c\nd\n")
    faults = [fault for each in run([block], tmp_path, os.environ) for fault in each.faults()]
    assert [fault.partition(":\n")[0].partition(" in\n")[0] for fault in faults] == [
        "x.md:1: `false` ended with 1",
        "x.md:1: nothing like `d`",
    ]


def test_every_page_is_in_the_sites_table_of_contents() -> None:
    listed = {
        line
        for block in of("index.md")
        if block.language == "{toctree}"
        for line in block.text.splitlines()
        if line and not line.startswith(":")
    }
    pages = {page.stem for page in PAGES} - {"README", "index"}
    assert listed == pages | {"cli"}
