"""Which node gets which GPUs."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import GpuUnavailable
from orchestrator.gpus.assignment import Uuids, assign
from orchestrator.gpus.demand import GpuDemand
from orchestrator.gpus.inventory import Gpu

FOUR = tuple(Gpu(index, f"GPU-{name}", "A", 2**30) for index, name in enumerate("abcd"))
A, B, C, D = (gpu.uuid for gpu in FOUR)
NEW = ()
LISTED = "0: GPU-a (A, 1 GiB), 1: GPU-b (A, 1 GiB)"
NAME_FIX = "mend gpu.devices, or leave it out"
FEW_FIX = "lower ranks.nodes or gpu.per_node, name more gpu.devices, or use gpu.mode: shared"


def exclusive(**changes: Any) -> GpuDemand:
    return GpuDemand("exclusive", "V", **changes)


def shared(*devices: int | str) -> GpuDemand:
    return GpuDemand("shared", "V", devices=devices)


@pytest.mark.parametrize(
    ("demand", "held", "given"),
    [
        pytest.param(exclusive(), (NEW, NEW), ((A,), (B,)), id="the first ones, in order"),
        pytest.param(exclusive(per_node=2), (NEW, NEW), ((A, B), (C, D)), id="two each"),
        pytest.param(exclusive(devices=(3, B)), (NEW, NEW), ((D,), (B,)), id="as named"),
        pytest.param(exclusive(), ((C,), NEW), ((C,), (A,)), id="a node keeps what it has"),
        pytest.param(exclusive(), (NEW, (A,)), ((B,), (A,)), id="whatever comes first"),
        pytest.param(exclusive(), ((A,), (A,)), ((A,), (B,)), id="two held one: not both keep it"),
        pytest.param(exclusive(devices=(0, 1)), ((C,), (B,)), ((A,), (B,)), id="not named now"),
        pytest.param(exclusive(), (("GPU-gone",), (B,)), ((A,), (B,)), id="is gone"),
        pytest.param(exclusive(), (("all",), NEW), ((A,), (B,)), id="was given all by hand"),
        pytest.param(exclusive(), ((A, B), NEW), ((A,), (B,)), id="fewer than it had"),
        pytest.param(exclusive(per_node=2), ((A, A), NEW), ((A, B), (C, D)), id="one twice"),
        pytest.param(exclusive(per_node=2), ((D, A), NEW), ((D, A), (B, C)), id="any order"),
        pytest.param(shared(), (NEW, NEW), ((A,), (A,)), id="shared: the first"),
        pytest.param(shared(2), (NEW, NEW), ((C,), (C,)), id="shared: as named"),
        pytest.param(shared(B), ((A,), (A,)), ((B,), (B,)), id="shared: another is named"),
        pytest.param(shared(), ((B,), (B,), NEW), ((B,),) * 3, id="shared: they keep theirs"),
        pytest.param(shared(), ((B,), (A,)), ((B,), (B,)), id="shared: one for all"),
    ],
)
def test_what_nodes_get(
    demand: GpuDemand, held: tuple[Uuids, ...], given: tuple[Uuids, ...]
) -> None:
    assert assign(demand, FOUR, held) == given


@pytest.mark.parametrize(
    ("demand", "num_nodes", "said"),
    [
        (
            exclusive(),
            3,
            f"3 GPUs are needed (3 nodes, 1 each), and 2 can be used of {LISTED}; {FEW_FIX}",
        ),
        (
            exclusive(per_node=2),
            2,
            f"4 GPUs are needed (2 nodes, 2 each), and 2 can be used of {LISTED}; {FEW_FIX}",
        ),
        (
            exclusive(devices=(0, 7)),
            2,
            f"gpu.devices: there is no GPU 7 here; this machine has {LISTED}; {NAME_FIX}",
        ),
        (
            exclusive(devices=("GPU-z",)),
            1,
            f"gpu.devices: there is no GPU GPU-z here; this machine has {LISTED}; {NAME_FIX}",
        ),
        (
            exclusive(devices=(0, A)),
            2,
            f"gpu.devices names GPU 0 twice, as GPU-a too; this machine has {LISTED}; {NAME_FIX}",
        ),
    ],
)
def test_what_cannot_be_had(demand: GpuDemand, num_nodes: int, said: str) -> None:
    with pytest.raises(GpuUnavailable) as caught:
        assign(demand, FOUR[:2], ((),) * num_nodes)
    assert str(caught.value) == said


def test_a_gpu_cut_into_slices_is_not_used_whole() -> None:
    sliced = Gpu(0, "GPU-m", "H", 2**30, has_mig=True)
    listed = "0: GPU-m (H, 1 GiB, MIG)"
    whole = Gpu(1, "GPU-w", "H", 2**30)
    assert assign(exclusive(), (sliced, whole), ((),)) == (("GPU-w",),)
    for demand, what in (
        (shared(), "every GPU here is cut into MIG slices"),
        (shared(0), "gpu.devices: GPU 0 is cut into MIG slices"),
    ):
        with pytest.raises(GpuUnavailable) as caught:
            assign(demand, (sliced,), ((),))
        assert str(caught.value) == f"{what}; this machine has {listed}; {NAME_FIX}"


def test_what_others_use_is_not_given_anew_and_not_taken_from_who_has_it() -> None:
    taken = {A: "node other-node-0"}
    assert assign(exclusive(), FOUR, ((), ()), taken) == ((B,), (C,))
    assert assign(exclusive(), FOUR, ((A,), ()), taken) == ((A,), (B,))
    assert assign(shared(), FOUR, ((), ()), taken) == ((B,), (B,))
    with pytest.raises(GpuUnavailable) as caught:
        assign(exclusive(), FOUR[:2], ((), ()), taken)
    assert str(caught.value) == (
        "2 GPUs are needed (2 nodes, 1 each), and 1 can be used of "
        f"{LISTED}; node other-node-0 uses GPU-a; {FEW_FIX}"
    )
    with pytest.raises(GpuUnavailable, match="one GPU is needed, and 0 can be used"):
        assign(shared(0), FOUR, ((),), taken)


HELD = st.lists(
    st.lists(st.sampled_from((A, B, C, D, "GPU-gone", "all")), max_size=3).map(tuple), max_size=4
).map(tuple)


@given(HELD, st.integers(1, 2))
def test_exclusive_is_exclusive_and_stable(held: tuple[Uuids, ...], per_node: int) -> None:
    demand = exclusive(per_node=per_node)
    if len(held) * per_node > len(FOUR):
        with pytest.raises(GpuUnavailable):
            assign(demand, FOUR, held)
        return
    given_now = assign(demand, FOUR, held)
    flat = [uuid for uuids in given_now for uuid in uuids]
    assert len(set(flat)) == len(flat) == len(held) * per_node
    assert set(flat) <= {A, B, C, D}
    assert assign(demand, FOUR, given_now) == given_now
    assert assign(demand, tuple(reversed(FOUR)), given_now) == given_now


@given(HELD)
def test_shared_is_one_for_all_and_stable(held: tuple[Uuids, ...]) -> None:
    given_now = assign(shared(), FOUR, held)
    assert len(given_now) == len(held)
    assert len(set(given_now)) <= 1
    assert assign(shared(), FOUR, given_now) == given_now
