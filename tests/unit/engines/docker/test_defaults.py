"""Whatever an image gives its containers, a node that was made as asked is no difference.

What Docker reports of a container is modelled here as it merges an image into it; the model
itself is held against a real engine in tests/e2e/test_image_defaults.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from orchestrator.engines.docker.body import create_body
from orchestrator.engines.docker.creation import Creation, ProbePlace
from orchestrator.engines.docker.inspection import image_from_inspect, node_from_inspect
from orchestrator.engines.docker.traits import TRAITS
from orchestrator.plans.difference import FieldChange
from orchestrator.plans.drift import remaining_differences
from orchestrator.plans.planner import make_plan
from orchestrator.state.desired import DesiredState, ImageSpec, RunIdentity
from orchestrator.state.observed import ObservedImage, ObservedState
from orchestrator.state.spec import Limits, NodeSpec

NAMES = st.sampled_from(["PATH", "PYTHONPATH", "A", "B", "LANG", "NVIDIA_VISIBLE_DEVICES", "a b"])
TEXTS = st.sampled_from(["", "1", "x=y", "a b", "/bin:/sbin", "ä\n"])
WORDS = st.lists(st.sampled_from(["sh", "-c", "", 'exec "$@"', "--flag"]), max_size=3)
USERS = st.sampled_from(["", "0", "1000", "1000:1000", "nobody"])
FOLDERS = st.sampled_from(["", "/", "/app", "/srv/a b"])


def _pairs(env: dict[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in env.items()]


images: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "Env": st.none() | st.dictionaries(NAMES, TEXTS).map(_pairs),
        "User": USERS,
        "WorkingDir": FOLDERS,
        "Entrypoint": st.none() | WORDS,
        "Cmd": st.none() | WORDS,
        "Labels": st.none()
        | st.dictionaries(
            st.sampled_from(["a", "orchestrate.node_rank", "orchestrate.project"]), TEXTS
        ),
        "Healthcheck": st.none() | st.just({"Test": ["CMD", "true"]}),
        "StopSignal": st.none() | st.just("SIGINT"),
        "Volumes": st.none() | st.just({"/data": {}}),
        "ExposedPorts": st.none() | st.just({"8000/tcp": {}}),
        "Shell": st.none() | st.just(["/bin/sh", "-ec"]),
    }
)
specs = st.builds(
    NodeSpec,
    node_rank=st.just(0),
    num_ranks=st.integers(1, 8),
    name=st.just("pair-node-0"),
    command=WORDS.filter(bool).map(tuple),
    image=st.just("app:1"),
    env=st.dictionaries(NAMES, TEXTS).map(lambda env: tuple(sorted(env.items()))),
    limits=st.builds(
        Limits,
        st.none() | st.sampled_from([0.01, 0.5, 1.0, 1.1, 2.333, 64.0]),
        st.none() | st.integers(6 * 2**20, 2**40),
        st.integers(1, 2**33),
        st.integers(1, 4096),
    ),
    user=st.none() | USERS.filter(bool),
    workdir=st.none() | FOLDERS.filter(bool),
    probe=st.booleans(),
)
IDENTITY = RunIdentity("pair", "run-1", "/runs/1", "x.yaml", "sha256:0")


def container(spec: NodeSpec, image: dict[str, Any]) -> dict[str, Any]:
    """What `docker inspect` tells of a node that was made of an image."""
    path = dict(pair.split("=", 1) for pair in image["Env"] or []).get("PYTHONPATH", "")
    probe = ProbePlace(Path("/state/probe/1"), path) if spec.probe else None
    asked = create_body(Creation(spec, IDENTITY, "1000", probe=probe))
    base, told = (
        dict(pair.split("=", 1) for pair in pairs) for pairs in (image["Env"] or [], asked["Env"])
    )
    config = image | {
        "Image": asked["Image"],
        "Hostname": asked["Hostname"],
        "Cmd": asked["Cmd"],
        "Env": _pairs(base | told),
        "User": asked["User"] or image["User"],
        "WorkingDir": asked["WorkingDir"] or image["WorkingDir"],
        "Labels": (image["Labels"] or {}) | asked["Labels"],
    }
    host = {"NanoCpus": 0, "Memory": 0, "MemorySwap": 0} | asked["HostConfig"]
    return {
        "Id": "c" * 64,
        "Name": f"/{spec.name}",
        "Image": "sha256:1",
        "Config": config,
        "HostConfig": host,
        "NetworkSettings": {"Networks": {}},
        "Mounts": [{"Type": "volume", "Destination": "/data"}],
        "State": {"Status": "running", "ExitCode": 0, "FinishedAt": "0001-01-01T00:00:00Z"},
    }


def observed(spec: NodeSpec, config: dict[str, Any]) -> ObservedState:
    image: ObservedImage = image_from_inspect({"Id": "sha256:1", "Config": config}, "app:1")
    return ObservedState("pair", image, nodes=(node_from_inspect(container(spec, config)),))


@given(specs, images)
def test_what_an_image_gives_is_no_difference(spec: NodeSpec, config: dict[str, Any]) -> None:
    desired = DesiredState("pair", ImageSpec("app:1"), None, (spec,))
    found = observed(spec, config)
    assert make_plan(desired, found, in_place=TRAITS.in_place).actions == ()
    assert remaining_differences(desired, found) == ()


@given(specs, images, specs)
def test_what_is_asked_for_now_is_a_difference(
    spec: NodeSpec, config: dict[str, Any], other: NodeSpec
) -> None:
    found = observed(spec, config)
    if other.command != spec.command:
        desired = DesiredState("pair", ImageSpec("app:1"), None, (other,))
        assert make_plan(desired, found, in_place=TRAITS.in_place).start_nodes
    faster = replace(spec, limits=replace(spec.limits, cpus=3.0))
    desired = DesiredState("pair", ImageSpec("app:1"), None, (faster,))
    assert len(make_plan(desired, found, in_place=TRAITS.in_place).change_nodes) == 1


@given(specs, images)
def test_a_switched_probe_is_named_and_replaces_the_node(
    spec: NodeSpec, config: dict[str, Any]
) -> None:
    found = observed(spec, config)
    desired = DesiredState("pair", ImageSpec("app:1"), None, (replace(spec, probe=not spec.probe),))
    plan = make_plan(desired, found, in_place=TRAITS.in_place)
    old, new = ("on", "off") if spec.probe else ("off", "on")
    assert FieldChange("probe", old, new) in plan.remove_nodes[0].changes
    assert len(plan.start_nodes) == 1
