"""Which node gets which GPUs."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import GpuUnavailable
from orchestrator.gpus.assignment import Uuids, assign
from orchestrator.gpus.demand import GpuDemand
from orchestrator.gpus.inventory import Gpu, Slice

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
        pytest.param(exclusive(per_node=2), ((D, A), NEW), ((A, D), (B, C)), id="CUDA's order"),
        pytest.param(
            exclusive(per_node=2, devices=(3, 0, 2, 1)),
            (NEW, NEW),
            ((A, D), (B, C)),
            id="as named, each",
        ),
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
        assert str(caught.value) == (
            f"{what}; this machine has {listed}; {NAME_FIX}, or use gpu.mode: mig"
        )


# -- slices ----------------------------------------------------------------------------

SLICED = (
    Gpu(
        0,
        "GPU-m",
        "H",
        2**30,
        has_mig=True,
        slices=(Slice("MIG-1", "3g", 0), Slice("MIG-2", "1g", 1)),
    ),
    Gpu(1, "GPU-n", "H", 2**30, has_mig=True, slices=(Slice("MIG-3", "3g", 0),)),
)
EMPTY = Gpu(2, "GPU-o", "H", 2**30, has_mig=True)
WHOLE = Gpu(3, "GPU-p", "H", 2**30)
MIXED = (*SLICED, EMPTY, WHOLE)
LISTED_MIXED = (
    "0: GPU-m (H, 1 GiB, MIG) with slices MIG-1 (3g), MIG-2 (1g), "
    "1: GPU-n (H, 1 GiB, MIG) with slices MIG-3 (3g), 2: GPU-o (H, 1 GiB, MIG), "
    "3: GPU-p (H, 1 GiB)"
)
CUT_FIX = (
    "cut one as root, where its kind can be (`nvidia-smi -i 0 -mig 1`, then `nvidia-smi mig -i 0 "
    "-cgi PROFILE,PROFILE -C`; `nvidia-smi mig -lgip` lists profiles), or use gpu.mode: shared"
)
SLICE_FIX = (
    "lower ranks.nodes, name more gpu.devices, or cut more slices (`nvidia-smi mig -lgip` lists "
    "what still fits)"
)


def mig(*devices: int | str) -> GpuDemand:
    return GpuDemand("mig", "V", devices=devices)


@pytest.mark.parametrize(
    ("demand", "held", "given"),
    [
        pytest.param(mig(), (NEW, NEW), (("MIG-1",), ("MIG-2",)), id="the first ones, in order"),
        pytest.param(
            mig(), (NEW,) * 3, (("MIG-1",), ("MIG-2",), ("MIG-3",)), id="over all GPUs that are cut"
        ),
        pytest.param(mig(1, "MIG-2"), (NEW, NEW), (("MIG-3",), ("MIG-2",)), id="of a GPU, by name"),
        pytest.param(mig("GPU-m"), (NEW, NEW), (("MIG-1",), ("MIG-2",)), id="of a GPU by UUID"),
        pytest.param(mig(), (("MIG-3",), NEW), (("MIG-3",), ("MIG-1",)), id="a node keeps its own"),
        pytest.param(mig(), (("GPU-m",), NEW), (("MIG-1",), ("MIG-2",)), id="had a whole one"),
        pytest.param(
            mig(), (("MIG-gone",), ("MIG-1",)), (("MIG-2",), ("MIG-1",)), id="cut anew: other UUIDs"
        ),
        pytest.param(exclusive(), (NEW,), (("GPU-p",),), id="whole ones beside them"),
        pytest.param(shared(), (("MIG-1",), NEW), (("GPU-p",), ("GPU-p",)), id="shared is whole"),
    ],
)
def test_what_nodes_get_of_slices(
    demand: GpuDemand, held: tuple[Uuids, ...], given: tuple[Uuids, ...]
) -> None:
    assert assign(demand, MIXED, held) == given


@pytest.mark.parametrize(
    ("demand", "gpus", "num_nodes", "said"),
    [
        pytest.param(
            mig(),
            MIXED,
            4,
            "4 MIG slices are needed (4 nodes, 1 each), and 3 can be used of MIG-1 (3g), "
            f"MIG-2 (1g), MIG-3 (3g); {SLICE_FIX}",
            id="exhausted",
        ),
        pytest.param(
            mig("MIG-2"),
            MIXED,
            2,
            "2 MIG slices are needed (2 nodes, 1 each), and 1 can be used of MIG-2 (1g); "
            f"{SLICE_FIX}",
            id="too few named",
        ),
        pytest.param(
            mig(),
            (WHOLE,),
            1,
            f"no GPU here is cut into MIG slices; this machine has 3: GPU-p (H, 1 GiB); {CUT_FIX}",
            id="none cut",
        ),
        pytest.param(
            mig(),
            (EMPTY,),
            1,
            "no GPU here is cut into MIG slices; this machine has 2: GPU-o (H, 1 GiB, MIG); "
            f"{CUT_FIX}",
            id="ready to be cut",
        ),
        pytest.param(
            mig(3),
            MIXED,
            1,
            "gpu.devices: GPU 3 is not cut into MIG slices; this machine has "
            f"{LISTED_MIXED}; {CUT_FIX}",
            id="a whole one is named",
        ),
        pytest.param(
            mig("MIG-9"),
            MIXED,
            1,
            f"gpu.devices: there is no MIG slice MIG-9 here; this machine has {LISTED_MIXED}; "
            f"{NAME_FIX}",
            id="a slice that is not there",
        ),
        pytest.param(
            mig(0, "MIG-2"),
            MIXED,
            1,
            "gpu.devices names MIG slice MIG-2 twice, as MIG-2 too; this machine has "
            f"{LISTED_MIXED}; {NAME_FIX}",
            id="a slice and its GPU",
        ),
        pytest.param(
            exclusive(),
            SLICED,
            1,
            "every GPU here is cut into MIG slices; this machine has "
            f"{LISTED_MIXED[: LISTED_MIXED.index(', 2')]}; {NAME_FIX}, or use gpu.mode: mig",
            id="whole ones are asked for",
        ),
    ],
)
def test_what_cannot_be_had_of_slices(
    demand: GpuDemand, gpus: tuple[Gpu, ...], num_nodes: int, said: str
) -> None:
    with pytest.raises(GpuUnavailable) as caught:
        assign(demand, gpus, ((),) * num_nodes)
    assert str(caught.value) == said


def test_a_slice_that_others_use_is_left_to_them() -> None:
    taken = {"MIG-1": "node other-node-0 uses it"}
    assert assign(mig(), MIXED, ((), ()), taken) == (("MIG-2",), ("MIG-3",))
    with pytest.raises(GpuUnavailable) as caught:
        assign(mig(), MIXED, ((), (), ()), taken)
    assert str(caught.value) == (
        "3 MIG slices are needed (3 nodes, 1 each), and 2 can be used of MIG-1 (3g), MIG-2 (1g), "
        f"MIG-3 (3g); MIG-1: node other-node-0 uses it; {SLICE_FIX}"
    )


def test_what_others_use_is_not_given_anew_and_not_taken_from_who_has_it() -> None:
    taken = {A: "node other-node-0 uses it"}
    assert assign(exclusive(), FOUR, ((), ()), taken) == ((B,), (C,))
    assert assign(exclusive(), FOUR, ((A,), ()), taken) == ((A,), (B,))
    assert assign(shared(), FOUR, ((), ()), taken) == ((B,), (B,))
    with pytest.raises(GpuUnavailable) as caught:
        assign(exclusive(), FOUR[:2], ((), ()), taken)
    assert str(caught.value) == (
        "2 GPUs are needed (2 nodes, 1 each), and 1 can be used of "
        f"{LISTED}; GPU-a: node other-node-0 uses it; {FEW_FIX}"
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


@st.composite
def machines(draw: st.DrawFn) -> tuple[Gpu, ...]:
    """Up to eight GPUs, each whole or cut into up to seven slices."""
    return tuple(
        Gpu(
            index,
            f"GPU-{index}",
            "H",
            has_mig=(cut := draw(st.booleans())),
            slices=tuple(
                Slice(f"MIG-{index}-{each}", "1g", each)
                for each in range(draw(st.integers(0, 7)) if cut else 0)
            ),
        )
        for index in range(draw(st.sampled_from((0, 1, 2, 8))))
    )


def units(machine: tuple[Gpu, ...], demand: GpuDemand) -> list[str]:
    if demand.mode == "mig":
        return [each.uuid for gpu in machine for each in gpu.slices]
    return [gpu.uuid for gpu in machine if not gpu.has_mig]


@given(machines(), st.sampled_from((exclusive(), shared(), mig())), st.data())
def test_any_machine_and_mode(
    machine: tuple[Gpu, ...], demand: GpuDemand, data: st.DataObject
) -> None:
    there = units(machine, demand)
    choice = st.sampled_from([*there, "GPU-gone", "all"])
    held = data.draw(st.lists(st.lists(choice, max_size=2).map(tuple), min_size=1, max_size=9))
    taken = dict.fromkeys(data.draw(st.sets(choice)), "other")
    mine = {uuids[0] for uuids in held if len(uuids) == 1}
    free = [uuid for uuid in there if uuid not in taken or uuid in mine]
    if len(free) < (len(held) if demand.is_alone else 1):
        with pytest.raises(GpuUnavailable) as caught:
            assign(demand, machine, held, taken)
        assert all(uuid in str(caught.value) for uuid in there)
        return
    chosen = assign(demand, machine, held, taken)
    flat = [uuid for uuids in chosen for uuid in uuids]
    assert len(flat) == len(held)
    assert set(flat) <= set(there)
    assert len(set(flat)) == (len(flat) if demand.is_alone else 1)
    assert not (set(flat) & taken.keys()) - mine
    assert assign(demand, machine, chosen, taken) == chosen
