"""What newer engines say in other words (see captures/capture.sh) means the same."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from orchestrator.engines.docker.cli import to_error
from orchestrator.engines.docker.inspection import (
    image_from_inspect,
    is_node,
    network_from_inspect,
    node_from_inspect,
    parse_time,
)
from orchestrator.errors import AddressUnavailable, EngineFailed, ImageUnavailable, NodeNotStarted
from orchestrator.state.observed import ObservedImage, ObservedNetwork

from .test_errors import ADDRESS, CAPTURES, ERRORS, IN_USE, MOUNTS, REGISTRY, RESOURCES, Kind
from .test_inspect import NODES

ENGINES = ("engine-26.1", "engine-28.5", "engine-28.5-containerd")


def capture(engine: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((CAPTURES.parent / engine / f"{name}.json").read_text())
    return found


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", ["running", "killed"])
def test_a_container_is_the_same_node_on_every_engine(engine: str, name: str) -> None:
    found, known = capture(engine, name), NODES[name]
    state = found["State"]
    assert is_node(found)
    assert node_from_inspect(found) == replace(
        known,
        id=found["Id"],
        created_at_s=parse_time(found["Created"]),
        started_at_s=parse_time(state["StartedAt"]),
        finished_at_s=parse_time(state["FinishedAt"]),
        # What the image and the network say of themselves, so that neither is a difference.
        image_id=capture(engine, "image")["Id"],
        network_id=capture(engine, "network")["Id"] if known.network_id else None,
        address=found["NetworkSettings"]["Networks"]["utest-net"]["IPAddress"],
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_an_image_and_a_network_are_the_same_on_every_engine(engine: str) -> None:
    image, network = capture(engine, "image"), capture(engine, "network")
    assert image_from_inspect(image, "utest:1") == ObservedImage(
        tag="utest:1",
        id=image["Id"],
        build_inputs="v1:sha256beef",
        env=(("LANG", "C"), ("PATH", "/bin")),
        user="1000",
        workdir="/srv",
    )
    assert network_from_inspect(network, "utest") == ObservedNetwork(
        network["Id"], "utest-net", True, "utest"
    )


NO_ROUTE = (
    "dial tcp: lookup registry.invalid on 192.0.2.53:53: "
    "dial udp 192.0.2.53:53: connect: network is unreachable"
)
REFUSALS: dict[tuple[str, str], tuple[Kind, str, str]] = {
    ("engine-26.1", "command-is-folder"): ERRORS["command-is-folder"],
    ("engine-26.1", "mount-on-file"): ERRORS["mount-on-file"],
    ("engine-26.1", "no-command"): ERRORS["no-command"],
    ("engine-26.1", "no-address"): (
        AddressUnavailable,
        "could not find an available, non-overlapping IPv4 address pool "
        "among the defaults to assign to the network",
        ADDRESS,
    ),
    ("engine-28.5", "command-is-folder"): ERRORS["command-is-folder"],
    ("engine-28.5", "mount-on-file"): (
        NodeNotStarted,
        ERRORS["mount-on-file"][1].replace(": unknown", ""),
        MOUNTS,
    ),
    ("engine-28.5", "no-command"): ERRORS["no-command"],
    ("engine-28.5", "many-cpus"): (
        NodeNotStarted,
        "range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available",
        RESOURCES,
    ),
    ("engine-28.5", "pool-overlap"): (
        AddressUnavailable,
        "invalid pool request: Pool overlaps with other one on this address space",
        ADDRESS,
    ),
    ("engine-28.5", "port-taken"): (
        AddressUnavailable,
        "failed to set up container networking: driver failed programming external connectivity "
        "on endpoint utest-made "
        "(acb487cf05ae9477db6754cf6759be4d7b70477bbdc4fb163eef14992467b435): "
        "Bind for 0.0.0.0:29999 failed: port is already allocated",
        ADDRESS,
    ),
    ("engine-28.5", "network-in-use"): (
        EngineFailed,
        "error while removing network: network utest-net has active endpoints "
        '(name:"utest-made" id:"ae9770ebdae9")',
        IN_USE,
    ),
    ("engine-28.5", "no-address"): (
        AddressUnavailable,
        "all predefined address pools have been fully subnetted",
        ADDRESS,
    ),
    # A registry's refusal, not the engine's own.
    ("engine-28.5-containerd", "pull-refused"): (
        ImageUnavailable,
        'failed to resolve reference "127.0.0.1:1/app:1": failed to do request: '
        'Head "https://127.0.0.1:1/v2/app/manifests/1": '
        "dial tcp 127.0.0.1:1: connect: connection refused",
        REGISTRY,
    ),
    ("engine-28.5-containerd", "pull-no-host"): (
        ImageUnavailable,
        'failed to resolve reference "registry.invalid/app:1": failed to do request: '
        f'Head "https://registry.invalid/v2/app/manifests/1": {NO_ROUTE}',
        REGISTRY,
    ),
}


@pytest.mark.parametrize(("engine", "name"), REFUSALS)
def test_a_refusal_of_another_engine(engine: str, name: str) -> None:
    error = to_error((CAPTURES.parent / engine / "errors" / f"{name}.txt").read_text(), "d")
    kind, said, fix = REFUSALS[engine, name]
    assert (type(error), error.what, error.fix) == (kind, f"d: {said}", fix)


def test_every_capture_of_another_engine_is_in_the_table() -> None:
    found = {(path.parts[-3], path.stem) for path in CAPTURES.parent.glob("engine-*/errors/*.txt")}
    assert found == set(REFUSALS)
