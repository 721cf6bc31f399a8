"""Right after an apply nothing differs, or the apply fails and names what does."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from orchestrator.errors import StillDifferent
from orchestrator.run import CONTEXT_CHANGED, PROJECT_CHANGED
from orchestrator.state.desired import ImageSpec
from orchestrator.state.spec import NodeSpec
from tests.unit.fake_engine import FakeEngine, Script
from tests.unit.workbench import PLAYBOOK, Bench, bench

__all__ = ["bench"]


class Wilful(FakeEngine):
    """An engine that gives node 1 another folder than it was asked for."""

    def _start(self, spec: NodeSpec, identity: object) -> None:
        other = replace(spec, workdir="/elsewhere") if spec.node_rank == 1 else spec
        super()._start(other, identity)  # type: ignore[arg-type]


class Slow(FakeEngine):
    """An engine under whose hands a file of the build context changes."""

    def build_image(self, image: ImageSpec, on_line: Callable[[str], None]) -> None:
        super().build_image(replace(image, build_inputs="v1:later"), on_line)


def test_a_build_context_that_changes_meanwhile_is_told_as_that(bench: Bench) -> None:
    (bench.folder / "Dockerfile").write_text("FROM scratch\n")
    bench.write(PLAYBOOK.replace('{tag: "app:1"}', '{tag: "app:1", build: {context: .}}'))
    bench.engine = Slow()
    error = bench.apply_refused(StillDifferent)
    assert error.what.startswith("image app:1 differs right after it was applied: build inputs: ")
    assert error.fix == CONTEXT_CHANGED


@pytest.mark.parametrize("detach", [False, True])
def test_what_differs_right_after_an_apply_is_named(bench: Bench, detach: bool) -> None:
    bench.engine = Wilful()
    with pytest.raises(StillDifferent) as caught:
        bench.apply(detach=detach)
    assert caught.value.what == (
        "node pair-node-1 differs right after it was applied: workdir: /elsewhere -> /app"
    )
    assert caught.value.fix == PROJECT_CHANGED
    assert bench.engine.mutations[-1] == "stop_nodes pair-node-0 pair-node-1 grace 1"


def test_what_differs_is_left_running_where_that_is_asked_for(bench: Bench) -> None:
    bench.write(PLAYBOOK + "on_failure: keep\n")
    bench.engine = Wilful()
    bench.apply_refused(StillDifferent)
    assert bench.engine.mutations[-1].startswith("start_nodes")


@pytest.mark.parametrize("code", [0, 1, 127])
def test_a_quick_job_that_has_ended_by_then_is_no_difference(bench: Bench, code: int) -> None:
    bench.engine.scripts = {rank: Script((), 0.0, code=code) for rank in (0, 1)}
    bench.apply(detach=True)


def test_it_is_looked_once_more_only_where_something_was_changed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []
    observe = bench.engine.observe

    def noted(query: object) -> object:
        looks.append("look")
        return observe(query)  # type: ignore[arg-type]

    monkeypatch.setattr(bench.engine, "observe", noted)
    bench.apply()
    assert len(looks) == 2
    bench.apply()
    assert len(looks) == 3
