"""What engines tell of their objects, made worse: state of the right types, or an error."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck as Health
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from orchestrator.engines.base import Query
from orchestrator.engines.docker.cli import DockerCli
from orchestrator.engines.docker.command_changer import CliChanger
from orchestrator.engines.docker.endpoint import Ways
from orchestrator.engines.docker.engine import DockerEngine
from orchestrator.engines.local.engine import LocalEngine
from orchestrator.engines.local.record import NodeRecord, write_node
from orchestrator.engines.local.supervisor import EXIT_FILE, NODE_FILE, PROCESS_FILE
from orchestrator.errors import EngineFailed
from orchestrator.state.desired import RunIdentity
from orchestrator.state.observed import ObservedNode, ObservedState, ProjectSummary
from tests.reliability.record import RecordCase, record_inputs
from tests.unit.fakes import node_spec

_CAPTURES = Path(__file__).parents[1] / "unit/engines/docker/captures"
_MANY = settings(
    max_examples=200,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[Health.function_scoped_fixture],
)
_TIMES = ("0001-01-01T00:00:00Z", "9999-99")
_TEXTS = ("", "x", "0", "\0", "\ud800", "x" * 5000, *_TIMES)
_OTHERS: st.SearchStrategy[Any] = st.sampled_from(
    (*_TEXTS, None, True, 0, -1, 2**70, 1.5, [], [1], [None], [{}], {}, {"": ""}, {"a": None})
)


def _capture(name: str) -> Any:
    return json.loads((_CAPTURES / f"{name}.json").read_text())


def _places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in pairs:
        yield (*at, key)
        if isinstance(item, dict | list):
            yield from _places(item, (*at, key))


@st.composite
def _worse(draw: st.DrawFn, whole: Any) -> Any:
    """One to three places changed or taken away."""
    worse = copy.deepcopy(whole)
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(worse))
        if not places:
            break
        *way, last = draw(st.sampled_from(places))
        at = worse
        for part in way:
            at = at[part]
        if draw(st.booleans()):
            at[last] = copy.deepcopy(draw(_OTHERS))
        else:
            del at[last]
    return worse


class _Told:
    """A reader that tells what it was given, whatever is asked."""

    def __init__(self, objects: dict[str, Any]) -> None:
        self._objects = objects

    def containers(self, filters: Sequence[Any]) -> list[Any]:
        return [self._objects["container"]]

    def networks(self, label: str, name: str | None = None) -> list[Any]:
        return [self._objects["network"]]

    def image(self, tag: str) -> Any:
        return self._objects["image"]


_QUERY = Query(
    project="utest",
    node_names=("utest-node-0", "utest-node-1"),
    network="utest-net",
    image_tag="utest:1",
)
_OBJECTS = st.one_of(
    [
        _worse(
            {
                "container": _capture(name),
                "network": _capture("network"),
                "image": _capture("image"),
            }
        )
        for name in ("created", "exited", "killed", "disconnected", "not-started", "out-of-memory")
    ]
)


@_MANY
@given(_OBJECTS)
def test_docker_objects_made_worse_are_observed_or_refused(
    tmp_path: Path, record_case: RecordCase, objects: dict[str, Any]
) -> None:
    whole = {key: objects.get(key) or {} for key in ("container", "network", "image")}
    ways = Ways(reader=_Told(whole), changer=CliChanger(DockerCli()))  # type: ignore[arg-type]
    engine = DockerEngine(cache_dir=tmp_path, private_dir=tmp_path, ways=ways)
    looks: dict[Any, Callable[[], object]] = {
        ObservedState: lambda: engine.observe(_QUERY),
        tuple[ObservedNode, ...]: lambda: engine.observe_nodes("utest"),
        tuple[ProjectSummary, ...]: engine.projects,
    }
    for of_kind, look in looks.items():
        kind = "answers of Docker made worse"
        try:
            _assert_typed(look(), of_kind)
        except EngineFailed:
            record_inputs(record_case, kind, refused=1)
        else:
            record_inputs(record_case, kind, read=1)


def _assert_typed(found: object, kind: Any) -> None:
    assert msgspec.convert(msgspec.to_builtins(found), kind) == found


@pytest.mark.parametrize("name", [NODE_FILE, PROCESS_FILE, EXIT_FILE])
@_MANY
@given(data=st.data())
def test_records_made_worse_are_observed_as_damaged(
    tmp_path: Path, name: str, record_case: RecordCase, data: st.DataObject
) -> None:
    whole: dict[str, Any] = {
        PROCESS_FILE: {"pid": 2**30, "start_ticks": None, "started_at_s": 1.0},
        EXIT_FILE: {"exit_code": 0, "finished_at_s": 2.0, "error": ""},
    }
    engine = LocalEngine(root=tmp_path)
    folder = tmp_path / "utest" / "node-0"
    folder.mkdir(parents=True, exist_ok=True)
    identity = RunIdentity("utest", "run-1", "", "", "")
    write_node(folder, NodeRecord(1, "b", identity, "v1", node_spec()))
    record = json.loads((folder / NODE_FILE).read_text()) if name == NODE_FILE else whole[name]
    worse = data.draw(_worse(record) | st.binary(max_size=40))
    text = worse if isinstance(worse, bytes) else json.dumps(worse).encode()
    (folder / name).write_bytes(text)

    found = engine.observe(_QUERY)

    _assert_typed(found, ObservedState)
    assert [node.spec.node_rank for node in found.nodes] == [0]
    record_inputs(record_case, "records of the embedded engine made worse", read=1)
