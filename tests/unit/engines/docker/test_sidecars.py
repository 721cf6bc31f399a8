"""Sidecars among containers: told from nodes and from what only looks like one."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from orchestrator.engines.base import Query
from orchestrator.engines.docker.inspection import (
    is_node,
    is_sidecar,
    node_from_inspect,
    sidecar_from_inspect,
)
from orchestrator.engines.docker.ownership import Ownership
from orchestrator.engines.docker.reading import filters_for
from orchestrator.state.observed import ForeignObject, NodeHealth, ObservedSidecar, ProjectSummary
from orchestrator.state.spec import HealthCommand, SidecarSpec

from .test_inspect import NODES, capture

MINE = Ownership("1000")
QUERY = Query("lab", network="lab-net", node_names=("lab-node-0",), sidecar="lab-mps")


def container(
    name: str, *, hostname: str = "lab-mps", owner: str = "1000", **labels: str
) -> dict[str, Any]:
    found = capture("running")
    found["Config"]["Labels"] = {
        "orchestrate.project": "lab",
        "orchestrate.owner": owner,
        "orchestrate.run_id": "run-1",
        "orchestrate.spec_hash": "v1:sha256feed",
        "orchestrate.run_dir": "/runs/utest/run-1",
        **{f"orchestrate.{label}": value for label, value in labels.items()},
    }
    found["Config"]["Hostname"] = hostname
    return found | {"Id": f"id-{name}", "Name": f"/{name}"}


def sidecar(name: str = "lab-mps", **labels: str) -> dict[str, Any]:
    found = container(name, **{"sidecar": "mps", **labels})
    found["HostConfig"]["IpcMode"] = "shareable"
    return found


def node(name: str = "lab-node-0", ipc: str = "private") -> dict[str, Any]:
    found = container(name, hostname=name, node_rank=name[-1], num_ranks="1")
    found["HostConfig"]["IpcMode"] = ipc
    return found


def test_a_container_as_a_sidecar() -> None:
    found = sidecar(
        compute_mode="EXCLUSIVE_PROCESS", compute_mode_before="GPU-a=DEFAULT,GPU-b=PROHIBITED,odd"
    )
    found["State"]["Health"] = {
        "Status": "healthy",
        "Log": [{"ExitCode": 0, "Output": "clients: 1 now, 2 at most\n"}],
    }
    found["Config"]["Healthcheck"] = {
        "Test": ["CMD-SHELL", "unset ORCHESTRATE_RUN_ID; ask"],
        "Interval": 10**9,
        "Timeout": 5 * 10**9,
        "Retries": 3,
    }
    like = NODES["running"]
    spec = like.spec
    assert sidecar_from_inspect(found) == ObservedSidecar(
        id="id-lab-mps",
        spec=SidecarSpec(
            name="lab-mps",
            command=spec.command,
            image=spec.image,
            env=spec.env,
            mounts=spec.mounts,
            limits=spec.limits,
            user=spec.user,
            network=spec.network,
            confinement=spec.confinement,
            workdir=spec.workdir,
            health=HealthCommand("ask", 1.0, 5.0, 3),
            ipc="shareable",
            role="mps",
            compute_mode="EXCLUSIVE_PROCESS",
        ),
        run_id="run-1",
        spec_hash="v1:sha256feed",
        status=like.status,
        created_at_s=like.created_at_s,
        started_at_s=like.started_at_s,
        image_id=like.image_id,
        network_id=like.network_id,
        run_dir="/runs/utest/run-1",
        health=NodeHealth("healthy", True, 0, "clients: 1 now, 2 at most"),
        restores=(("GPU-a", "DEFAULT"), ("GPU-b", "PROHIBITED")),
    )


def test_a_sidecar_is_no_node_and_no_lookalike() -> None:
    both = [sidecar(), node()]
    assert [(is_node(each), is_sidecar(each)) for each in both] == [(False, True), (True, False)]
    assert [each.name for each in MINE.nodes(both, "lab")] == ["lab-node-0"]
    assert [each.name for each in MINE.sidecars(both, "lab")] == ["lab-mps"]
    assert MINE.lookalikes(both, QUERY) == MINE.foreign_containers(both, QUERY) == ()


@pytest.mark.parametrize(
    "spoiled",
    [
        container("copy", hostname="3f2a5c7e9d10", sidecar="mps"),
        container("copy", sidecar="MPS"),
        container("copy", sidecar="mps-and-a-role-that-is-too-long"),
        container("copy"),
    ],
)
def test_what_only_looks_like_a_sidecar_is_left_alone(spoiled: dict[str, Any]) -> None:
    assert MINE.sidecars([spoiled], "lab") == ()
    told = (ForeignObject("container", "copy", "id-copy", "lab", "1000"),)
    assert MINE.lookalikes([spoiled], QUERY) == told


def test_its_name_may_be_taken() -> None:
    others = sidecar(owner="1001")
    assert MINE.sidecars([others], "lab") == ()
    assert MINE.foreign_containers([others], QUERY) == (
        ForeignObject("container", "lab-mps", "id-lab-mps", "lab", "1001"),
    )
    nobodys = capture("running") | {"Id": "id-x", "Name": "/lab-mps"}
    nobodys["Config"]["Labels"] = {}
    (foreign,) = MINE.foreign_containers([nobodys], QUERY)
    assert (foreign.name, foreign.project) == ("lab-mps", "")
    assert MINE.foreign_containers([nobodys], replace(QUERY, sidecar=None)) == ()


def test_it_is_looked_for_by_its_name_too() -> None:
    assert filters_for(QUERY) == [
        ("label", "orchestrate.project=lab"),
        ("name", "^/?lab-node-[0-9]+$"),
        ("name", "^/?lab-mps$"),
    ]


def test_a_project_of_which_only_the_sidecar_is_left_is_found() -> None:
    found = sidecar(playbook="/src/lab.yaml")
    assert MINE.summaries([found], []) == (ProjectSummary("lab", "/src/lab.yaml"),)


@pytest.mark.parametrize(
    ("mode", "joined"),
    [
        ("container:id-lab-mps", "lab-mps"),
        ("container:0123", "0123"),
        ("private", None),
        ("shareable", None),
        ("", None),
        ("host", "host"),
    ],
)
def test_whose_ipc_namespace_a_node_has_joined(mode: str, joined: str | None) -> None:
    """The engine keeps the id of the container that was named."""
    (found,) = MINE.nodes([sidecar(), node(ipc=mode)], "lab")
    shm_bytes = NODES["running"].spec.limits.shm_bytes
    has_joined = mode.startswith("container:")
    assert (found.spec.ipc, found.spec.limits.shm_bytes) == (
        joined,
        None if has_joined else shm_bytes,
    )
    assert node_from_inspect(node(ipc="private")).spec.ipc is None
