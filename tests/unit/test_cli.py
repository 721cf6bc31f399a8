"""The edge of the program: every error becomes one line and a code of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator import cli
from orchestrator.commands import verbs
from orchestrator.errors import ExitCode, Fault, InvalidPlaybook, OrchestrateError
from orchestrator.playbook.given import Given


def every_error() -> list[OrchestrateError]:
    fault = Fault("p.yaml", 3, 9, "ranks.nodes", "0 is below 1", "use at least 1")
    plain = [
        kind("it broke", fix="mend it")
        for kind in OrchestrateError.__subclasses__()
        if kind is not InvalidPlaybook
    ]
    return [*plain, InvalidPlaybook([fault])]


def test_each_kind_of_error_has_an_exit_code_of_its_own() -> None:
    codes = [error.exit_code for error in every_error()]
    assert len(codes) == len(set(codes))


@pytest.mark.parametrize("error", every_error(), ids=lambda error: type(error).__name__)
def test_an_error_is_one_line_and_its_code(
    error: OrchestrateError, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(_path: Path, _given: Given, **options: bool) -> ExitCode:
        assert options == {"as_json": False, "show": False}
        raise error

    monkeypatch.setattr(verbs, "validate_verb", refuse)
    assert cli.run(["validate", "p.yaml"]) == error.exit_code
    said = capsys.readouterr()
    expected = (
        "p.yaml:3:9: ranks.nodes: 0 is below 1; use at least 1"
        if isinstance(error, InvalidPlaybook)
        else "orchestrate: it broke; mend it"
    )
    assert (said.out, said.err) == ("", f"{expected}\n")


def test_a_bug_leaves_its_traceback_in_a_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_path: Path, _given: Given, *, as_json: bool, show: bool) -> ExitCode:
        assert not show
        raise ZeroDivisionError(f"as_json={as_json}")

    monkeypatch.setattr(verbs, "validate_verb", fail)
    assert cli.run(["validate", "p.yaml"]) == ExitCode.INTERNAL
    said = capsys.readouterr().err
    assert said.startswith("orchestrate: a bug: ZeroDivisionError: as_json=False; please report it")
    kept = Path(said.split()[-1])
    assert "Traceback" in kept.read_text()
    kept.unlink()


@pytest.mark.parametrize("error", every_error(), ids=lambda error: type(error).__name__)
def test_an_error_says_where_it_is_explained_to_who_asks(
    error: OrchestrateError, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(_path: Path, _given: Given, **_options: bool) -> ExitCode:
        raise error

    monkeypatch.setattr(verbs, "validate_verb", refuse)
    monkeypatch.setenv("ORCHESTRATE_DOCS", "docs")
    cli.run(["validate", "p.yaml"])
    *_, last = capsys.readouterr().err.splitlines()
    if error.exit_code == ExitCode.USAGE:
        assert not last.startswith("more: ")
        return
    page = Path(__file__).parents[2] / last.removeprefix("more: ")
    assert page.parent.name == "docs"
    assert page.is_file()
    monkeypatch.setenv("ORCHESTRATE_DOCS", "https://docs.example/")
    cli.run(["validate", "p.yaml"])
    *_, last = capsys.readouterr().err.splitlines()
    assert last == f"more: https://docs.example/{page.stem}.html"
    cli.run(["validate", "p.yaml", "--json"])
    assert capsys.readouterr().err == ""


def test_a_run_that_did_not_hold_says_where_diagnoses_are_explained(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def judge(_path: Path, _given: Given, **_options: bool) -> ExitCode:
        return ExitCode.NOT_CONVERGED

    monkeypatch.setattr(verbs, "validate_verb", judge)
    said = []
    for base in ("", "/opt/docs"):
        monkeypatch.setenv("ORCHESTRATE_DOCS", base)
        assert cli.run(["validate", "p.yaml"]) == 1
        said.append(capsys.readouterr().err)
    assert said == ["", "more: /opt/docs/diagnosis.md\n"]


def test_a_full_disk_under_the_output_is_no_bug() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "orchestrator", "schema"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (
        ExitCode.OUT_OF_SPACE,
        "orchestrate: no space is left; free some\n",
    )


@pytest.mark.parametrize(
    "argv",
    [
        ["apply"],
        ["no-such-verb"],
        ["destroy", "--all", "two-rank"],
        ["apply", "--no-such-option", "p"],
        ["logs", "--node", "-1"],
        [],
    ],
)
def test_wrong_usage(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(argv) == ExitCode.USAGE
    said = capsys.readouterr()
    assert "Traceback" not in said.err + said.out
    assert said.err.startswith("orchestrate: ") or not argv


@pytest.mark.parametrize(
    ("verb", "code"),
    [("apply", ExitCode.INTERRUPTED), ("validate", ExitCode.INTERRUPTED), ("logs", 0)],
)
def test_a_reader_that_has_gone_is_no_success_of_work_that_was_cut_short(
    verb: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(*_given: object) -> int:
        raise BrokenPipeError

    monkeypatch.setattr(cli, "_run", write)
    assert cli.run([verb, "p.yaml"]) == code
    assert cli.run([verb, "--help"]) == 0


def test_wrong_usage_says_where_its_words_are_explained(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = {}
    for argv in (["aply"], ["plan"], ["plan", "p", "--jsno"], []):
        cli.run(argv)
        said[" ".join(argv)] = capsys.readouterr().err.splitlines()[0]
    assert said == {
        "aply": "orchestrate: No such command 'aply'; did you mean 'apply'?",
        "plan": "orchestrate: Missing argument 'PLAYBOOK'; see `orchestrate plan --help`",
        "plan p --jsno": "orchestrate: No such option '--jsno'; did you mean '--json'?",
        "": "Usage: orchestrate [OPTIONS] COMMAND [ARGS]...",
    }


def test_help_of_every_verb_is_quick_and_imports_no_torch() -> None:
    script = (
        "import sys; from orchestrator import cli; "
        "codes = [cli.run([verb, '--help']) for verb in sys.argv[1:]]; "
        "print('torch' in sys.modules, 'pydantic' in sys.modules, codes)"
    )
    verbs_known = list(cli.app.commands)
    done = subprocess.run(
        [sys.executable, "-c", script, *verbs_known], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == f"False False {[0] * len(verbs_known)}"
