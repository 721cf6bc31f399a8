"""What apply looks at first: silent on a machine that will do, and cheap."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from orchestrator.doctor.finding import Finding, Status
from orchestrator.doctor.preflight import (
    DATA_ROOT,
    Machine,
    preflight,
    refuse_problems,
    this_machine,
    usual_engine,
)
from orchestrator.errors import ExitCode, NodeNotStarted, OutOfSpace
from orchestrator.events import Event, MachineWarned, PlanMade
from orchestrator.plans.plan import Plan
from orchestrator.plans.planner import make_plan
from orchestrator.state.desired import DesiredState
from orchestrator.state.spec import Limits
from orchestrator.state.traits import EngineTraits
from tests.unit.fake_engine import DOCKER_LIKE, FakeEngine, join_and_end
from tests.unit.fakes import World, desired_state, on_every_node
from tests.unit.workbench import PLAYBOOK, Bench, bench

__all__ = ["bench"]

GIB = 1024**3
ROOMY = Machine(8, 32 * GIB, 30 * GIB, DATA_ROOT, 100 * GIB, 1000)


@dataclass
class Telling(FakeEngine):
    """An engine that says what its machine has, and counts how often it is asked."""

    has: tuple[int, int, str] = (8, 32 * GIB, DATA_ROOT)
    asked: list[None] = field(default_factory=list)

    def machine(self) -> tuple[int, int, str]:
        self.asked.append(None)
        return self.has


def pair(**limits: Any) -> tuple[DesiredState, Plan]:
    """Two nodes with these limits, and the plan that makes them."""
    desired = on_every_node(desired_state(), limits=Limits(**limits))
    return desired, make_plan(desired, World().observe(desired))


def look(machine: Machine, engine: Telling | None = None, **limits: Any) -> list[Finding]:
    desired, plan = pair(**limits)
    return list(preflight(desired, plan, engine or Telling(), machine))


def test_a_machine_that_will_do_is_not_asked_twice() -> None:
    engine = Telling()
    assert look(ROOMY, engine, cpus=4.0, memory_bytes=15 * GIB) == []
    assert look(replace(ROOMY, disk_free_bytes=None, memory_free_bytes=None), engine) == []
    assert engine.asked == []


def test_the_engine_has_the_last_word() -> None:
    small = replace(ROOMY, cpus=1)
    engine = Telling()
    assert look(small, engine, cpus=4.0) == []
    assert len(engine.asked) == 1
    (finding,) = look(small, Telling(has=(2, 32 * GIB, DATA_ROOT)), cpus=4.0)
    assert (finding.id, finding.status, finding.code) == (
        "cpus",
        Status.PROBLEM,
        ExitCode.NODE_NOT_STARTED,
    )


def test_what_may_not_do_is_a_warning() -> None:
    found = look(ROOMY, cpus=5.0, memory_bytes=16 * GIB)
    assert [(each.id, each.status, each.code) for each in found] == [
        ("cpus", Status.WARNING, None),
        ("memory", Status.WARNING, None),
    ]


def test_a_disk_that_was_moved_is_looked_at_where_it_is(tmp_path: Path) -> None:
    full = replace(ROOMY, disk_free_bytes=0)
    (finding,) = look(full)
    assert (finding.id, finding.code) == ("disk", ExitCode.OUT_OF_SPACE)
    nowhere = Telling(has=(8, 32 * GIB, str(tmp_path / "nope")))
    assert look(full, nowhere) == []


def test_a_plan_that_starts_nothing_needs_nothing() -> None:
    desired, _ = pair(cpus=64.0)
    assert preflight(desired, Plan(desired.project), Telling(), ROOMY) == ()


def test_this_machine_is_read() -> None:
    found = this_machine("/")
    assert found.cpus >= 1
    assert 0 < (found.memory_free_bytes or 0) <= found.memory_bytes
    assert (found.disk, found.disk_free_bytes) != ("/", None)
    assert this_machine("/nope/nope").disk_free_bytes is None


@pytest.mark.parametrize(
    ("traits", "is_usual"),
    [
        (DOCKER_LIKE, True),
        (replace(DOCKER_LIKE, endpoint="tcp://far:2375"), False),
        (replace(DOCKER_LIKE, places_probe=False), False),
    ],
)
def test_which_engine_it_is_for(traits: EngineTraits, *, is_usual: bool) -> None:
    engine = Telling(traits=traits)
    assert usual_engine(engine) == (engine if is_usual else None)
    assert usual_engine(FakeEngine()) is None


def test_problems_stop_with_their_own_words() -> None:
    problem = Finding(
        "disk", Status.PROBLEM, "0.0 GiB free", "no container", "prune", ExitCode.OUT_OF_SPACE
    )
    with pytest.raises(OutOfSpace) as caught:
        refuse_problems((replace(problem, status=Status.WARNING, code=None), problem))
    assert str(caught.value) == "0.0 GiB free: no container; prune"
    refuse_problems(())


# -- in apply -------------------------------------------------------------------------


@pytest.fixture
def telling(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A bench on a machine of 8 processors, whose engine says the same."""
    bench.engine = Telling(scripts=join_and_end())
    monkeypatch.setattr("orchestrator.run.this_machine", lambda: ROOMY)
    return bench


def write_cpus(bench: Bench, cpus: float) -> None:
    bench.write(PLAYBOOK.replace("train.py]", f"train.py], resources: {{cpus: {cpus}}}"))


def names(events: list[Event]) -> list[str]:
    return [type(event).__name__ for event in events]


def test_apply_warns_once_and_before_the_plan(telling: Bench) -> None:
    write_cpus(telling, 5)
    telling.apply()
    assert names(telling.events).count("MachineWarned") == 1
    warned, planned, *_ = telling.events
    assert warned == MachineWarned(
        "cpus",
        "10 of 8 processors for 2 nodes",
        "nodes take turns: steps take longer than on machines of their own, and waits may time out",
        "set ranks.resources.cpus to 4, or lower ranks.nodes",
    )
    assert isinstance(planned, PlanMade)
    telling.apply()
    assert "MachineWarned" not in names(telling.events)


def test_apply_stops_for_what_surely_fails_and_has_made_nothing(telling: Bench) -> None:
    write_cpus(telling, 9)
    error = telling.apply_refused(NodeNotStarted)
    assert str(error) == (
        "a node is given 9 processors, and there are 8: the engine refuses a node that may use"
        " more than it has; set ranks.resources.cpus to 8 or less"
    )
    assert telling.engine.journal == []


def test_apply_says_nothing_where_all_is_well(telling: Bench) -> None:
    telling.apply()
    assert "MachineWarned" not in names(telling.events)
    assert isinstance(telling.engine, Telling)
    assert telling.engine.asked == []


def test_no_preflight_off_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    assert usual_engine(Telling()) is None
