"""The verb: which run is meant, what is written, and that no secret is in any of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator import redaction
from orchestrator.errors import EngineFailed
from tests.unit.desk import Desk, desk
from tests.unit.fake_engine import Script
from tests.unit.support.test_bundle import canaries_in, talkative

__all__ = ["desk", "talkative"]


def run_ids(desk: Desk) -> list[str]:
    return sorted(path.name for path in (desk.folder / ".orchestrate/runs/pair").iterdir())


def test_the_only_project_there_is(desk: Desk) -> None:
    desk.run("apply", "pair.yaml")
    desk.run("destroy", "pair")
    said = desk.run("report")
    (run_id,) = run_ids(desk)
    size = (desk.folder / "report.html").stat().st_size
    assert (said.code, said.err) == (0, "")
    assert said.out == f"run {run_id} of pair: passed\n  report.html  {round(size / 1024)} KiB\n"
    assert "Every check holds" in (desk.folder / "report.html").read_text()


def test_everything_at_once(desk: Desk) -> None:
    desk.run("apply", "pair.yaml")
    desk.engine.scripts[1] = Script(((0.0, "Traceback"),), 0.0, code=3)
    desk.run("apply", "--rerun", "pair.yaml")
    failed, passed = sorted(run_ids(desk), key=lambda run_id: _verdict(desk, run_id), reverse=True)
    said = desk.run(
        "report", "pair.yaml", "--run", failed, "--out", "out/x.html", "--compare", passed,
        "--trace", "t.json", "--csv", "numbers", "--tensorboard", "tb", "--json",
    )  # fmt: skip
    assert said.code == 0
    assert {key: said.document[key] for key in ("project", "run_id", "verdict")} == {
        "project": "pair", "run_id": failed, "verdict": "failed",
    }  # fmt: skip
    assert all(Path(path).exists() for path in said.document["files"])
    assert len(said.document["files"]) == 10
    page = (desk.folder / "out/x.html").read_text()
    assert f"Compared with {passed}" in page
    assert json.loads((desk.folder / "t.json").read_text())["otherData"]["run_id"] == failed
    again = desk.run("report", "pair", "--compare", f"pair/{failed}", "--run", passed)
    assert (again.code, f"run {passed} of pair: passed" in again.out) == (0, True)


def _verdict(desk: Desk, run_id: str) -> int:
    path = desk.folder / f".orchestrate/runs/pair/{run_id}/verdict.json"
    code: int = json.loads(path.read_text())["apply"]["exit_code"]
    return code


def test_a_run_that_never_started_has_a_report_too(desk: Desk) -> None:
    desk.engine.failures["start_nodes"] = EngineFailed("no more pids")
    assert desk.run("apply", "pair.yaml").code == 12
    (run_id,) = run_ids(desk)
    assert desk.run("report", "--run", run_id).code == 0
    assert "no more pids" in (desk.folder / "report.html").read_text()


def test_what_is_not_there_is_said(desk: Desk) -> None:
    assert desk.run("report").code == 9
    desk.run("apply", "pair.yaml")
    refused = desk.run("report", "pair", "--compare", "no-such-run", "--json")
    assert (refused.code, refused.document["error"]["kind"]) == (9, "no_such_project")
    (desk.folder / "file").write_text("")
    assert desk.run("report", "--out", "file/report.html").code == 13


@pytest.mark.parametrize("known", [True, False])
def test_no_secret_is_in_any_file(
    talkative: Desk, known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether its value can still be read or not; also where the verdict is gone."""
    talkative.run("destroy", "pair")
    monkeypatch.setattr(redaction, "_known", set())  # as in another process
    if not known:
        for name in ("key", "some.env"):
            (talkative.folder / name).unlink()
    for _ in range(2):
        said = talkative.run("report", "pair", "--trace", "t.json", "--csv", "numbers")
        assert said.code == 0
        written = [
            talkative.folder / name for name in ("report.html", "t.json", "numbers/marks.csv")
        ]
        content = {path.name: path.read_bytes() for path in written}
        assert canaries_in(content | {"screen": (said.out + said.err).encode()}) == []
        verdict = next((talkative.folder / ".orchestrate/runs/pair").iterdir()) / "verdict.json"
        verdict.write_text("{")
