"""The flattened spec, its hash, and the words for how a node stands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from msgspec import Struct
from msgspec.structs import replace

from orchestrator.plans.difference import FieldChange, field_changes
from orchestrator.state.observed import NodeStatus, ObservedNetwork, ObservedNode, ObservedState
from orchestrator.state.spec import (
    CHANGEABLE,
    Confinement,
    HealthCommand,
    Limits,
    Mount,
    NodeSpec,
    Secret,
    sorted_env,
    spec_fields,
    spec_hash,
)
from orchestrator.state.traits import EngineTraits
from tests.unit.fakes import desired_state, node_spec

FULL = NodeSpec(
    node_rank=1,
    num_ranks=2,
    name="pair-node-1",
    command=("python", "-c", 'print("ä")'),
    image="app:1",
    env=(("A", "1"), ("B", "")),
    mounts=(Mount("/src", "/data", True), Mount("/out", "/out", False)),
    limits=Limits(cpus=0.5, memory_bytes=2**30, shm_bytes=2**28, pids=512),
    user="1000:1000",
    network="pair-net",
    confinement=Confinement(),
    workdir="/app",
)

# Another value for each field. A field that is added and not named here fails the test below.
OTHERS: dict[str, object] = {
    "node_rank": 2,
    "num_ranks": 3,
    "name": "other",
    "command": ("python",),
    "image": "app:2",
    "env": (("A", "1"),),
    "mounts": (Mount("/src", "/data", False), Mount("/out", "/out", False)),
    "limits.cpus": 0.25,
    "limits.memory_bytes": 2**31,
    "limits.shm_bytes": 2**29,
    "limits.pids": 100,
    "limits.memlock_bytes": -1,
    "user": "0",
    "network": "lab",
    "confinement.cap_drop": (),
    "confinement.no_new_privileges": False,
    "confinement.privileged": True,
    "confinement.read_only_root": True,
    "confinement.tmpfs": (("/tmp", "rw"),),
    "confinement.cap_add": ("NET_ADMIN",),
    "confinement.security_opt": ("seccomp=unconfined",),
    "hidden_env": ("A",),
    "secrets": (Secret("hf_token", b"hf_1234"),),
    "workdir": "/",
    "gpus": ("GPU-a",),
    "probe": True,
    "health": HealthCommand("true"),
    "ipc": "other-mps",
}
NONE_ALLOWED = ("image", "user", "network", "confinement", "workdir")
MOUNT_OTHERS: dict[str, object] = {"source": "/s", "target": "/t", "read_only": False}


def leaves(value: Any, path: str = "") -> Iterator[str]:
    """Dotted names of all fields of a struct, nested ones opened."""
    for name in value.__struct_fields__:
        inner = getattr(value, name)
        if isinstance(inner, Struct):
            yield from leaves(inner, f"{path}{name}.")
        else:
            yield f"{path}{name}"


def with_other(spec: NodeSpec, path: str) -> NodeSpec:
    head, _, rest = path.partition(".")
    other = OTHERS[path]
    if rest:
        other = replace(getattr(spec, head), **{rest: other})
    return replace(spec, **{head: other})


def test_the_hash_is_the_same_forever() -> None:
    assert spec_hash(FULL) == (
        "v1:sha2562f4a8c465a50dccc710d9d0da3532c2596335e9e06f2dd76f31071603e3bb055"
    )


IN_PLACE = ("name", "limits.cpus", "limits.memory_bytes", "limits.pids")


@pytest.mark.parametrize("path", [path for path in leaves(FULL) if path not in IN_PLACE])
def test_every_field_that_stays_as_long_as_the_node_changes_the_hash(path: str) -> None:
    assert spec_hash(with_other(FULL, path)) != spec_hash(FULL)


@pytest.mark.parametrize("path", IN_PLACE)
def test_a_field_that_may_change_in_place_is_compared_and_not_hashed(path: str) -> None:
    other = with_other(FULL, path)
    assert spec_hash(other) == spec_hash(FULL)
    assert {change.field for change in field_changes(FULL, other)} <= CHANGEABLE
    assert field_changes(FULL, other)


@pytest.mark.parametrize("name", Mount.__struct_fields__)
def test_every_field_of_a_mount_changes_the_hash(name: str) -> None:
    mount = replace(FULL.mounts[0], **{name: MOUNT_OTHERS[name]})
    changed = replace(FULL, mounts=(mount, *FULL.mounts[1:]))
    assert spec_hash(changed) != spec_hash(FULL)


@pytest.mark.parametrize("name", NONE_ALLOWED)
def test_leaving_a_field_out_changes_the_hash(name: str) -> None:
    changed = replace(FULL, **{name: None})
    assert spec_hash(changed) != spec_hash(FULL)


def test_a_spec_is_flattened_to_text() -> None:
    assert spec_fields(FULL) == {
        "name": "pair-node-1",
        "ranks": "2..3",
        "image": "app:1",
        "command": '["python", "-c", "print(\\"\\u00e4\\")"]',
        "user": "1000:1000",
        "network": "pair-net",
        "workdir": "/app",
        "resources.cpus": "0.5",
        "resources.memory": "1GiB",
        "resources.shm_size": "256MiB",
        "resources.pids": "512",
        "probe": "off",
        "cap_drop": "ALL",
        "no_new_privileges": "true",
        "privileged": "false",
        "env.A": "1",
        "env.B": "",
        "mounts./data": "/src (ro)",
        "mounts./out": "/out (rw)",
    }


def test_the_value_of_a_secret_is_in_no_text_of_a_spec() -> None:
    spec = replace(FULL, secrets=(Secret("hf_token", b"canary-5711"),))
    fields = spec_fields(spec)
    assert (fields["secrets.hf_token"], "canary" in str(fields) + repr(spec)) == ("***", False)
    other = replace(FULL, secrets=(Secret("hf_token", b"another"),))
    assert spec_hash(spec) == spec_hash(other)


def test_a_confinement_of_its_own_is_flattened_field_by_field() -> None:
    strict = Confinement(
        read_only_root=True,
        tmpfs=(("/tmp", "rw,size=4096"),),
        cap_add=("NET_ADMIN",),
        security_opt=("apparmor=unconfined", "seccomp=unconfined"),
    )
    flat = spec_fields(replace(FULL, confinement=strict))
    assert {name: flat[name] for name in flat if name not in spec_fields(FULL)} == {
        "read_only_root": "true",
        "tmpfs./tmp": "rw,size=4096",
        "cap_add": "NET_ADMIN",
        "security_opt": "apparmor=unconfined,seccomp=unconfined",
    }


def test_changes_are_named_field_by_field() -> None:
    wanted = replace(
        FULL,
        env=(("A", "2"), ("C", "3"), ("D", "")),
        mounts=FULL.mounts[:1],
        limits=replace(FULL.limits, cpus=2.0, pids=None),
        user=None,
    )
    changes = field_changes(FULL, wanted)
    assert changes == (
        FieldChange("user", "1000:1000", None),
        FieldChange("resources.cpus", "0.5", "2"),
        FieldChange("resources.pids", "512", None),
        FieldChange("env.A", "1", "2"),
        FieldChange("env.C", None, "3"),
        FieldChange("env.D", None, ""),
        FieldChange("env.B", "", None),
        FieldChange("mounts./out", "/out (rw)", None),
    )
    assert [str(change) for change in changes] == [
        "user: 1000:1000 -> (none)",
        "resources.cpus: 0.5 -> 2",
        "resources.pids: 512 -> (none)",
        "env.A: 1 -> 2",
        "env.C: (none) -> 3",
        'env.D: (none) -> ""',
        'env.B: "" -> (none)',
        "mounts./out: /out (rw) -> (none)",
    ]


def test_equal_specs_have_no_changes() -> None:
    assert field_changes(FULL, replace(FULL)) == ()


@pytest.mark.parametrize(
    ("node_rank", "num_ranks", "ranks"),
    [(0, 1, [0]), (3, 1, [3]), (0, 4, [0, 1, 2, 3]), (2, 2, [4, 5])],
)
def test_a_node_runs_consecutive_ranks(node_rank: int, num_ranks: int, ranks: list[int]) -> None:
    assert list(node_spec(node_rank, num_ranks).ranks) == ranks


def test_the_world_size_is_the_sum_over_nodes() -> None:
    assert (desired_state(3, 4).world_size, desired_state(1).world_size) == (12, 1)


def observed(status: NodeStatus, code: int | None = None, *, oom: bool = False) -> ObservedNode:
    return ObservedNode("id", node_spec(), "run", "hash", status, code, oom_killed=oom)


@pytest.mark.parametrize(
    ("node", "is_active", "has_finished_well"),
    [
        (observed(NodeStatus.CREATED), False, False),
        (observed(NodeStatus.RUNNING), True, False),
        (observed(NodeStatus.PAUSED), True, False),
        (observed(NodeStatus.RESTARTING), True, False),
        (observed(NodeStatus.EXITED, 0), False, True),
        (observed(NodeStatus.EXITED, 1), False, False),
        (observed(NodeStatus.DEAD, 0), False, False),
    ],
)
def test_how_a_node_stands(node: ObservedNode, is_active: bool, has_finished_well: bool) -> None:
    assert (node.is_active, node.has_finished_well) == (is_active, has_finished_well)


@pytest.mark.parametrize(
    ("node", "words"),
    [
        (observed(NodeStatus.EXITED, 0), "exited with code 0"),
        (observed(NodeStatus.EXITED, 1), "exited with code 1"),
        (observed(NodeStatus.EXITED, 126), "exited with code 126: its command cannot be executed"),
        (observed(NodeStatus.EXITED, 127), "exited with code 127: its command does not exist"),
        (observed(NodeStatus.EXITED, 128), "exited with code 128"),
        (observed(NodeStatus.EXITED, 137), "was killed by signal 9 (exit code 137)"),
        (observed(NodeStatus.EXITED, 143), "was killed by signal 15 (exit code 143)"),
        (observed(NodeStatus.EXITED, 137, oom=True), "ran out of memory (exit code 137)"),
    ],
)
def test_how_a_node_ended(node: ObservedNode, words: str) -> None:
    assert node.ending == words


def test_a_project_exists_while_anything_bears_its_label() -> None:
    theirs = ObservedNetwork("n1", "pair-net", True, None)
    ours = replace(theirs, project="pair")
    node = observed(NodeStatus.CREATED)
    states = (
        ObservedState("pair"),
        ObservedState("pair", networks=(theirs,)),
        ObservedState("pair", networks=(ours,)),
        ObservedState("pair", nodes=(node,)),
    )
    assert [state.exists for state in states] == [False, False, True, True]


def test_peers_are_reached_by_name_or_by_loopback() -> None:
    named = EngineTraits("docker", True, True, True)
    local = EngineTraits("local", False, False, False, loopback=True)
    assert [traits.address_of("pair-node-0") for traits in (named, local)] == [
        "pair-node-0",
        "127.0.0.1",
    ]


def test_later_environments_win_and_the_result_is_sorted() -> None:
    assert sorted_env({"B": "1", "A": "1"}, {}, {"B": "2"}) == (("A", "1"), ("B", "2"))
