"""What nodes are told of their run and of the probe, and that it is taken out again exactly."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.identity import (
    RUN_VARIABLES,
    told_to_nodes,
    with_probe,
    without_probe,
    without_run,
)
from orchestrator.state.desired import ProbeOrders, RunIdentity

FOLDER = "/opt/orchestrate/probe"
BARE = {
    "ORCHESTRATE_RUN_ID": "r1",
    "ORCHESTRATE_RESTART_COUNT": "2",
    "TORCHELASTIC_RESTART_COUNT": "2",
}
ORDERS = {
    "ORCHESTRATE_PROBE_JOIN_S": "20",
    "ORCHESTRATE_PROBE_HANG_S": "0.5",
    "ORCHESTRATE_PROBE_CHECKSUM": "1",
}


@pytest.mark.parametrize(
    ("orders", "told"),
    [(ProbeOrders(), {}), (ProbeOrders(20.0, 0.5, checksum=True), ORDERS)],
)
def test_what_nodes_are_told_of_a_run_is_no_part_of_their_spec(
    orders: ProbeOrders, told: dict[str, str]
) -> None:
    identity = RunIdentity("pair", "r1", "/runs", restart_count=2, probe=orders)
    assert told_to_nodes(identity) == BARE | told
    channel = {"ORCHESTRATE_PROBE_CHANNEL": "/proc/1/fd/1"}
    assert without_run({"A": "1", **BARE, **told, **channel}) == (("A", "1"),)
    assert frozenset(BARE | ORDERS | channel) == RUN_VARIABLES


PATHS = st.text(st.sampled_from(":/ab"), max_size=6)
ENVIRONMENTS = st.dictionaries(st.sampled_from(["A", "PYTHONPATH"]), PATHS)


@given(ENVIRONMENTS, PATHS)
def test_the_probe_comes_first_and_is_taken_out_exactly(env: dict[str, str], image: str) -> None:
    placed = with_probe(env, FOLDER, image)
    own = env.get("PYTHONPATH", image)
    assert placed["PYTHONPATH"].split(":") == [FOLDER, *(own.split(":") if own else [])]
    rest = {name: value for name, value in env.items() if name != "PYTHONPATH"}
    assert without_probe(placed, FOLDER) == rest | ({"PYTHONPATH": own} if own else {})


@pytest.mark.parametrize(
    "env",
    [
        {},
        {"PYTHONPATH": ""},
        {"PYTHONPATH": "/app"},
        {"PYTHONPATH": f"/app:{FOLDER}"},
        {"PYTHONPATH": f"{FOLDER}2:/app"},
        {"PYTHONPATH": f"{FOLDER}/:/app"},
    ],
)
def test_what_does_not_begin_with_the_probe_is_not_its(env: dict[str, str]) -> None:
    assert without_probe(env, FOLDER) is None
