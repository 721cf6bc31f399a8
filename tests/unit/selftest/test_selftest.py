"""The GPU selftest on inventories that are written down and an engine that is a dictionary."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.commands import doctoring
from orchestrator.errors import EngineFailed, GpuUnavailable
from orchestrator.gpus.inventory import Gpu, Slice
from orchestrator.playbook.loader import load_text
from orchestrator.playbook.show import resolved
from orchestrator.selftest.image import lay_out
from orchestrator.selftest.report import FILE
from orchestrator.selftest.trials import MODES, Trial, playbook_text, trials
from tests.unit.desk import Desk, Said, desk
from tests.unit.doctor.stand_in import answers, put_docker
from tests.unit.fake_engine import Script
from tests.unit.workbench import PLAYBOOK

__all__ = ["desk"]

A, B = Gpu(0, "GPU-aaa", "A100"), Gpu(1, "GPU-bbb", "A100")
CUT = Gpu(
    2,
    "GPU-ccc",
    "A100",
    has_mig=True,
    slices=(Slice("MIG-one", "3g.20gb", 0), Slice("MIG-two", "3g.20gb", 1)),
)
NO_WHOLE = "it takes a GPU that is not cut into slices: 0 are here"


# -- what can be tried ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("gpus", "possible"),
    [
        ((), set()),
        ((A,), {"shared", "mps"}),
        ((A, B), {"shared", "mps", "exclusive"}),
        ((CUT,), {"mig"}),
        ((A, CUT), {"shared", "mps", "mig"}),
        ((A, B, CUT), {"shared", "mps", "exclusive", "mig"}),
    ],
)
def test_which_modes_a_machine_allows(gpus: tuple[Gpu, ...], possible: set[str]) -> None:
    made = trials(gpus)
    assert tuple(trial.mode for trial in made) == MODES
    assert {trial.mode for trial in made if not trial.obstacle} == possible & set(MODES)


def test_why_a_mode_cannot_be_tried() -> None:
    told = {trial.mode: trial.obstacle for trial in trials((CUT, B))}
    assert told["exclusive"] == "it takes 2 GPUs that are not cut into slices: 1 are here"
    told = {trial.mode: trial.obstacle for trial in trials(())}
    assert told["shared"] == NO_WHOLE
    assert told["mig"] == "it takes 2 MIG slices: 0 are here"


@pytest.mark.parametrize("mode", MODES)
def test_each_trial_is_a_playbook_that_holds(tmp_path: Path, mode: str) -> None:
    base: dict[str | int, Any] = {
        "image": {"tag": "app:1", "pull": "never"},
        "gpu": {"mode": "shared", "memlock": 8192},
    }
    text = playbook_text(Trial(mode), base)
    playbook = load_text(text.encode(), name="trial.yaml", folder=tmp_path).playbook
    assert (playbook.name, playbook.gpu.mode) == (f"gpu-selftest-{mode}", mode)
    assert (playbook.ranks.nodes, playbook.gpu.memlock_bytes) == (2, 8192)
    assert playbook.image.tag == "app:1"
    implied = ["mps"] if mode == "mps" else []
    assert [type(check).__name__.lower() for check in playbook.health_checks] == [
        *implied,
        "joined",
        "training",
        "completed",
    ]


def test_the_image_that_comes_along_is_laid_out_whole(tmp_path: Path) -> None:
    loaded = lay_out(tmp_path)
    build = loaded.playbook.image.build
    assert build is not None
    assert (tmp_path / build.context / build.dockerfile).is_file()
    assert (tmp_path / build.context / str(build.requirements)).is_file()
    assert (tmp_path / build.context / "trainer/train.py").is_file()
    again = playbook_text(Trial("shared"), resolved(loaded.playbook))
    assert load_text(again.encode(), name="t.yaml", folder=tmp_path).playbook.image.build == build


# -- the verb -------------------------------------------------------------------------


@pytest.fixture
def lab(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A desk whose Docker is a stand-in; `app:1` is there."""
    monkeypatch.setenv("PATH", f"{put_docker(desk.folder / 'bin', answers())}:/usr/bin:/bin")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{desk.folder}/no.sock")
    monkeypatch.setenv("XDG_CACHE_HOME", str(desk.folder / "cache"))
    monkeypatch.setattr(doctoring, "docker_engine", lambda: desk.engine)
    desk.engine.world.add_image("app:1")
    return desk


@pytest.fixture
def have(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Gives this machine GPUs."""

    def give(*gpus: Gpu) -> None:
        monkeypatch.setattr(doctoring, "read_inventory", lambda _deadline_s: gpus)

    return give


def script(mode: str, rank: int, gpu: str | None, **changes: Any) -> Script:
    """What the trainer writes that uses a GPU."""
    of = {"rank": rank, "run_id": "$RUN_ID"}
    joined = of | {
        "event": "process_group_joined",
        "world_size": 2,
        "backend": "gloo",
        "master_addr": f"gpu-selftest-{mode}-node-0",
        "rank_sum": 1,
        "gpu": gpu,
    }
    step = of | {"event": "step", "step": 1, "loss": 5.5}
    lines = (json.dumps(joined | changes), json.dumps(step))
    return Script(tuple((0.0, line) for line in lines), 0.0)


def selftest(lab: Desk) -> tuple[Said, str]:
    """What was printed, and the file."""
    lab.write(PLAYBOOK)
    said = lab.run("doctor", "pair.yaml", "--gpu-selftest")
    return said, (lab.folder / FILE).read_text()


def rows(out: str) -> dict[str, list[str]]:
    """The cells of the table, by mode."""
    lines = out.partition("GPU SELFTEST\n")[2].splitlines()[1:]
    cells = [re.split(r"  +", line) for line in lines if "  " in line]
    return {mode: others for mode, *others in cells}


def test_a_machine_without_a_gpu_says_what_was_not_possible(
    lab: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_deadline_s: float) -> tuple[Gpu, ...]:
        raise GpuUnavailable("no driver here", fix="install it")

    monkeypatch.setattr(doctoring, "read_inventory", refuse)
    said, report = selftest(lab)
    assert (said.code, said.err) == (14, "orchestrate: no driver here; install it\n")
    assert rows(said.out) == {mode: ["not possible"] for mode in MODES}
    assert f"shared: {NO_WHOLE}" in said.out.splitlines()
    assert f"- shared: {NO_WHOLE}" in report.splitlines()
    assert "- no driver here" in report.splitlines()
    assert lab.engine.journal == []


def test_a_machine_whose_gpu_is_shared_well(lab: Desk, have: Callable[..., None]) -> None:
    have(A)
    for mode in MODES:
        lab.engine.of_project[f"gpu-selftest-{mode}"] = {
            rank: script(mode, rank, A.uuid) for rank in range(2)
        }
    said, report = selftest(lab)
    shared = rows(said.out)["shared"]
    assert shared[:-1] == ["ok", "ok", "1, 1", "ok", A.uuid, "gloo"]
    assert "- shared, rank 1: given GPU-aaa; uses what it was given" in report.splitlines()
    assert rows(said.out)["exclusive"] == ["not possible"]
    assert lab.engine.world.nodes == {}
    assert lab.engine.world.networks == {}


@pytest.mark.parametrize(
    ("uses", "why"),
    [
        ("GPU-zzz", "rank 1 .* GPU-zzz"),
        (None, "rank 1 does not say which GPU it uses"),
    ],
)
def test_a_rank_on_the_wrong_gpu(
    lab: Desk, have: Callable[..., None], uses: str | None, why: str
) -> None:
    have(A)
    lab.engine.of_project["gpu-selftest-shared"] = {
        0: script("shared", 0, A.uuid),
        1: script("shared", 1, uses),
    }
    said, report = selftest(lab)
    assert said.code == 1
    assert rows(said.out)["shared"][0] == "failed"
    assert re.search(f"^shared: .*{why}", said.out, re.MULTILINE)
    assert re.search(f"^- shared: .*{why}", report, re.MULTILINE)


def test_an_engine_that_refuses_and_what_it_says_is_harmless(
    lab: Desk, have: Callable[..., None]
) -> None:
    have(A)
    words = "no | `runtime` <script>\x1b[2J & co"
    lab.engine.failures["start_nodes"] = EngineFailed(words)
    said, report = selftest(lab)
    assert said.code == 1
    assert rows(said.out)["shared"][0] == "failed"
    assert "\x1b" not in said.out + report
    assert r"no &#124; 'runtime' &lt;script&gt;\x1b[2J &amp; co" in report
    assert "<script>" not in report


def test_nothing_is_left_of_a_trial_that_was_cut_short(
    lab: Desk, have: Callable[..., None]
) -> None:
    have(A)
    lab.engine.failures["follow_logs"] = KeyError("a bug")
    lab.write(PLAYBOOK)
    assert lab.run("doctor", "pair.yaml", "--gpu-selftest").code == 70
    assert lab.engine.world.nodes == {}


def test_what_cannot_be_taken_away_is_told(lab: Desk, have: Callable[..., None]) -> None:
    have(A)
    lab.engine.of_project["gpu-selftest-shared"] = {
        rank: script("shared", rank, A.uuid) for rank in range(2)
    }
    lab.engine.failures["remove_nodes"] = EngineFailed("it clings")
    said, _ = selftest(lab)
    assert said.code == 1
    assert rows(said.out)["shared"][:4] == ["failed", "ok", "1, 1", "ok"]
    assert "shared: it clings" in said.out.splitlines()


def test_a_folder_that_cannot_be_written(lab: Desk, have: Callable[..., None]) -> None:
    have()
    (lab.folder / FILE).mkdir()
    said = lab.run("doctor", "--gpu-selftest")
    assert said.code == 13
    assert f"{FILE} cannot be written" in said.err


@pytest.mark.parametrize("option", ["--json", "--fix"])
def test_options_that_do_not_fit(lab: Desk, option: str) -> None:
    assert lab.run("doctor", "--gpu-selftest", option).code == 64
