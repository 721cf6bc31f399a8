"""`orchestrate doctor`, as typed, against a `docker` that is a stand-in."""

from __future__ import annotations

import os
import re
from pathlib import Path

import jsonschema
import pytest

from orchestrator.commands import doctoring
from orchestrator.doctor.document import doctor_schema, schema_text
from orchestrator.state.observed import ProjectSummary
from tests.nvidia import put_nvidia_smi
from tests.unit.desk import Desk, desk
from tests.unit.doctor.machines import DEBIAN
from tests.unit.doctor.stand_in import answers, put_docker
from tests.unit.doctor.test_preflight import ROOMY, Telling
from tests.unit.fake_engine import join_and_end
from tests.unit.report.test_result import strict
from tests.unit.workbench import PLAYBOOK

__all__ = ["desk"]

DOCS = Path(__file__).resolve().parents[3] / "docs"
VALIDATOR = jsonschema.Draft202012Validator(strict(doctor_schema()))
GPU_PLAYBOOK = PLAYBOOK + "gpu: {mode: exclusive}\n"


@pytest.fixture
def ward(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A desk whose Docker is a stand-in, on a machine without GPUs."""
    put_docker(desk.folder / "bin", answers())
    monkeypatch.setenv("PATH", f"{desk.folder / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{desk.folder}/no.sock")
    monkeypatch.setattr(doctoring, "docker_engine", lambda: desk.engine)
    desk.engine.world.add_image("app:1")
    return desk


def shown(out: str) -> dict[str, str]:
    """`{finding: its status}` of what was printed."""
    lines = re.findall(r"^(ok|warning|problem|skipped): +([a-z-]+)  ", out, re.MULTILINE)
    return {id_: status for status, id_ in lines}


def test_a_machine_that_will_do(ward: Desk) -> None:
    said = ward.run("doctor", "pair.yaml")
    lines = said.out.splitlines()
    assert (said.code, said.err) == (0, "")
    assert lines[0] == "DOCTOR pair.yaml: pair, 2 nodes, on docker"
    assert re.fullmatch(r"FOUND ok=\d+ warning=0 problem=0 skipped=\d+", lines[-1])
    assert "ok:      image             app:1 is here, 0.0 GB" in lines
    assert set(shown(said.out).values()) == {"ok", "skipped"}
    assert ward.engine.journal == []


def test_the_general_part(ward: Desk) -> None:
    said = ward.run("doctor")
    assert said.code == 0
    assert said.out.startswith("DOCTOR this machine, on docker\n")
    assert "plan" not in shown(said.out)


def test_an_engine_that_is_down(ward: Desk) -> None:
    put_docker(ward.folder / "bin", {})
    said = ward.run("doctor", "pair.yaml")
    assert said.code == 4
    assert {id_ for id_, status in shown(said.out).items() if status == "problem"} == {
        "engine-answers"
    }
    assert "    more: docs/doctor.md#engine-answers" in said.out.splitlines()
    assert ward.run("doctor", "--engine", "local").code == 0


def test_a_gpu_playbook_without_nvidia_software(ward: Desk) -> None:
    put_docker(ward.folder / "bin", answers(Runtimes={"runc": {}}))
    ward.write(GPU_PLAYBOOK)
    said = ward.run("doctor", "pair.yaml")
    assert said.code == 14
    problems = [id_ for id_, status in shown(said.out).items() if status == "problem"]
    # Planning says the same as the driver, so it is not said twice.
    assert problems == ["gpu-driver", "gpu-toolkit"]
    assert "this machine has no NVIDIA driver" in said.out


def test_too_few_gpus_are_told_by_planning(ward: Desk) -> None:
    ward.write(GPU_PLAYBOOK)
    put_nvidia_smi(ward.folder / "bin", "0, GPU-1, A100, 40960, Default, Disabled, 550.54.15\n")
    said = ward.run("doctor", "pair.yaml")
    assert said.code == 14
    assert shown(said.out)["gpu-driver"] == "ok"
    assert "problem: plan              2 GPUs are needed (2 nodes, 1 each)" in said.out


def test_a_playbook_with_faults_is_not_examined(ward: Desk) -> None:
    ward.write("version: 1\nnope: 2\n")
    assert ward.run("doctor", "pair.yaml").code == 3


def test_nothing_that_a_machine_says_steers_the_terminal(ward: Desk) -> None:
    put_docker(ward.folder / "bin", answers(OperatingSystem="\x1b[2JEvil\x07"))
    said = ward.run("doctor")
    assert r"\x1b[2JEvil\x07" in said.out
    assert "\x1b" not in said.out


# -- for machines ---------------------------------------------------------------------


def test_the_schema_in_the_docs_is_the_one_of_the_types() -> None:
    assert (DOCS / "doctor.schema.json").read_text() == schema_text()


def test_documents_validate(ward: Desk) -> None:
    well = ward.run("doctor", "pair.yaml", "--json").document
    put_docker(ward.folder / "bin", {})
    down = ward.run("doctor", "--json").document
    for document in (well, down):
        VALIDATOR.validate(document)
    assert (well["playbook"], well["project"], well["engine"]) == ("pair.yaml", "pair", "docker")
    assert (well["exit_code"], down["exit_code"]) == (0, 4)
    assert sum(well["counts"].values()) == len(well["findings"])
    (problem,) = [each for each in down["findings"] if each["status"] == "problem"]
    assert (problem["id"], problem["exit_code"], problem["docs"]) == (
        "engine-answers",
        4,
        "docs/doctor.md#engine-answers",
    )
    assert not VALIDATOR.is_valid(well | {"findings": [{"id": "x"}]})


# -- mending --------------------------------------------------------------------------


def leave_a_network(ward: Desk) -> None:
    ward.engine.world.add_network("left-net", internal=True, project="left")


def test_what_was_left_is_removed_once_it_is_agreed(
    ward: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_a_network(ward)
    asked: list[str] = []

    def confirm(text: str, *, default: bool) -> bool:
        asked.append(text)
        return not default

    monkeypatch.setattr("click.confirm", confirm)
    said = ward.run("doctor", "--fix")
    assert asked == ["run `orchestrate destroy left`?"]
    assert ward.engine.journal == ["remove_network left-net"]
    assert "changed: orchestrate destroy left" in said.out.splitlines()
    before, after = said.out.split("AGAIN\n")
    assert (shown(before)["leftovers"], shown(after)["leftovers"]) == ("warning", "ok")


def test_a_service_is_started(ward: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = ward.folder / "no.sock"
    monkeypatch.setattr("orchestrator.doctor.gathering.docker.DEFAULT_SOCKET", usual)
    monkeypatch.setattr("orchestrator.doctor.examination.read_system", lambda _root: DEBIAN)
    folder, started = ward.folder / "bin", ward.folder / "started"
    put_docker(started, answers())
    put_docker(folder, {})
    for name, script in (
        ("systemctl", f'echo "$*" > {ward.folder}/asked; cp {started}/docker {folder}/docker'),
        ("sudo", 'shift; exec "$@"'),
    ):
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    said = ward.run("doctor", "pair.yaml", "--fix", "--yes")
    before, after = said.out.split("AGAIN\n")
    assert (shown(before)["engine-answers"], shown(after)["engine-answers"]) == ("problem", "ok")
    assert "changed: systemctl start docker" in before.splitlines()
    assert (ward.folder / "asked").read_text() == "start docker\n"
    assert said.code == 0


def test_nothing_is_done_without_consent(ward: Desk) -> None:
    leave_a_network(ward)
    assert ward.run("doctor").code == 0
    said = ward.run("doctor", "--fix")  # there is no terminal that could be asked
    assert ward.engine.journal == []
    assert "AGAIN" not in said.out


def test_yes_is_consent_to_all(ward: Desk) -> None:
    leave_a_network(ward)
    document = ward.run("doctor", "--fix", "--yes", "--json").document
    VALIDATOR.validate(document)
    assert document["mended"] == [
        {"finding": "leftovers", "command": "orchestrate destroy left", "error": ""}
    ]
    assert ward.engine.journal == ["remove_network left-net"]


def test_what_is_left_for_the_user_is_named(ward: Desk) -> None:
    put_docker(ward.folder / "bin", answers(PidsLimit=False))
    said = ward.run("doctor", "pair.yaml", "--fix", "--yes")
    assert "left for you: limits" in said.out.splitlines()
    assert said.code == 17


@pytest.mark.parametrize("argv", [("--yes",), ("--fix", "--json")])
def test_options_that_do_not_fit_together(ward: Desk, argv: tuple[str, ...]) -> None:
    assert ward.run("doctor", *argv).code == 64


def test_other_owners_networks_are_not_ours_to_remove(ward: Desk) -> None:
    ward.engine.rivals = (ProjectSummary("theirs", other_owner="1001"),)
    assert shown(ward.run("doctor").out)["leftovers"] == "ok"


def test_what_apply_warns_of_is_in_its_document(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.run.this_machine", lambda: ROOMY)
    desk.engines[0] = Telling(scripts=join_and_end())
    desk.write(PLAYBOOK.replace("train.py]", "train.py], resources: {cpus: 5}"))
    said = desk.run("apply", "--json", "pair.yaml")
    (warned,) = said.document["warnings"]
    assert (said.code, warned["about"]) == (0, "cpus")
    assert warned["found"] == "10 of 8 processors for 2 nodes"
    assert set(warned) == {"about", "found", "why", "mend"}
    assert desk.run("apply", "--json", "pair.yaml").document["warnings"] == []
