"""TAB: asked as each shell asks, and in a real bash."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator import cli
from orchestrator.errors import ExitCode

RUN = "20260102T030405-89abcdef"
ORCHESTRATE = (sys.executable, "-m", "orchestrator")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with playbooks, a kept run, and no engine that answers."""
    (tmp_path / ".orchestrate/runs/train" / RUN).mkdir(parents=True)
    (tmp_path / ".orchestrate/runs/train" / RUN / "node-0.log").touch()
    (tmp_path / "playbooks").mkdir()
    for name in ("train.yaml", "other.yml", "notes.txt", "x\x1b[2J.yaml", "playbooks/two.yaml"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    monkeypatch.setenv("ORCHESTRATE_LOCAL_ROOT", str(tmp_path / "local"))
    for variable in ("XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path


def asked(words: str, shell: str = "zsh") -> list[str]:
    """What the program answers a shell, line by line."""
    line = words.split(" ")
    environment = {
        "_ORCHESTRATE_COMPLETE": f"{shell}_complete",
        # fish hands over the word itself where the others give its place.
        "COMP_WORDS": words,
        "COMP_CWORD": line[-1] if shell == "fish" else str(len(line) - 1),
    }
    done = subprocess.run(
        ORCHESTRATE,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


def offered(words: str) -> list[str]:
    """The words that zsh is offered; `DIR` stands for folders."""
    lines = asked(words)
    if lines == [""]:
        return []
    assert all(lines), "zsh leaves out empty lines, and takes three at a time"
    kinds, values = lines[0::3], lines[1::3]
    return ["DIR" if kind == "dir" else value for kind, value in zip(kinds, values, strict=True)]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("orchestrate app", ["apply"]),
        ("orchestrate apply --en", ["--engine"]),
        ("orchestrate apply --engine ", ["auto", "docker", "local"]),
        ("orchestrate apply ", ["DIR", "other.yml", "train.yaml"]),
        ("orchestrate apply playbooks/t", ["DIR", "playbooks/two.yaml"]),
        ("orchestrate apply /nowhere/", ["DIR"]),
        ("orchestrate logs t", ["DIR", "train.yaml", "train"]),
        ("orchestrate verify train --run 2", [RUN]),
        ("orchestrate verify --run 3", []),
        ("orchestrate completion ", ["bash", "zsh", "fish"]),
    ],
)
def test_what_is_offered(words: str, expected: list[str], home: Path) -> None:
    assert offered(words) == expected


def test_fish_is_told_what_each_word_is(home: Path) -> None:
    assert asked("orchestrate destroy tr", "fish") == [
        "dir,tr",
        "plain,train.yaml",
        "plain,train\tits runs were kept",
    ]


@pytest.mark.usefixtures("home")
def test_nodes_of_projects_that_run() -> None:
    for name, num_nodes in (("live", 2), ("wide", 3)):
        Path(f"{name}.yaml").write_text(
            f"version: 1\nname: {name}\nimage: {{tag: none}}\nrendezvous: {{port: 28477}}\n"
            f"ranks: {{nodes: {num_nodes}, command: [sleep, '600']}}\n"
        )
        apply = (*ORCHESTRATE, "apply", f"{name}.yaml", "--engine", "local", "--detach")
        subprocess.run(apply, check=True, capture_output=True, timeout=120)
    try:
        assert offered("orchestrate logs live --node ") == ["0", "1"]
        assert offered("orchestrate logs --node ") == ["0", "1", "2"]
        assert asked("orchestrate status li")[-3:] == ["plain", "live", "on local"]
    finally:
        destroy = (*ORCHESTRATE, "destroy", "--all", "--engine", "local", "--grace", "0")
        subprocess.run(destroy, check=True, capture_output=True, timeout=120)


@pytest.mark.usefixtures("home")
def test_a_real_bash_completes() -> None:
    wrapper = Path("bin/orchestrate")
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\nexec {sys.executable} -m orchestrator "$@"\n')
    wrapper.chmod(0o755)
    script = """
    PATH="$PWD/bin:$PATH"
    eval "$(orchestrate completion bash)"
    complete -p orchestrate
    COMP_WORDS=(orchestrate logs t) COMP_CWORD=2
    compopt() { :; }  # bash has it only while a person presses TAB
    _orchestrate_completion orchestrate
    printf '%s\\n' "${COMPREPLY[@]}"
    """
    done = subprocess.run(
        ["bash", "--norc", "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert (done.stdout.splitlines(), done.stderr) == (
        [
            "complete -o nosort -F _orchestrate_completion orchestrate",
            "train.yaml",
            "train",
        ],
        "",
    )


@pytest.mark.parametrize(
    ("shell", "place", "begins"),
    [
        ("bash", ".local/share/bash-completion/completions/orchestrate", "_orchestrate_completion"),
        ("zsh", ".local/share/zsh/site-functions/_orchestrate", "#compdef orchestrate"),
        ("fish", ".config/fish/completions/orchestrate.fish", "function _orchestrate_completion"),
    ],
)
def test_it_is_installed_where_the_shell_looks(
    shell: str, place: str, begins: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["completion", shell, "--install"]) == 0
    said = capsys.readouterr()
    assert (home / place).read_text().startswith(begins)
    assert said.out.startswith(f"wrote {home / place}: ")
    assert cli.run(["completion", shell]) == 0
    assert capsys.readouterr().out == f"{(home / place).read_text()}\n"


def test_a_place_that_cannot_be_written(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / ".config").touch()
    assert cli.run(["completion", "fish", "--install"]) == ExitCode.FOLDER_UNUSABLE
    said = capsys.readouterr().err
    assert "completions/orchestrate.fish cannot be written: " in said
    assert "put what `orchestrate completion fish` prints" in said
