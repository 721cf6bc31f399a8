"""Captures of a real engine (see captures/capture.sh), as the observed state they mean."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from orchestrator.engines.docker.inspection import (
    image_from_inspect,
    is_node,
    network_from_inspect,
    node_from_inspect,
    parse_time,
)
from orchestrator.state.observed import NodeStatus, ObservedImage, ObservedNetwork, ObservedNode
from orchestrator.state.spec import Confinement, Limits, Mount, NodeSpec, Secret

CAPTURES = Path(__file__).parent / "captures"


def capture(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((CAPTURES / f"{name}.json").read_text())
    return found


IMAGE_ID = capture("image")["Id"]
NETWORK_ID = capture("network")["Id"]
ADDRESS = "192.168.48.2"


def spec(node_rank: int, *command: str) -> NodeSpec:
    return NodeSpec(
        node_rank=node_rank,
        num_ranks=2,
        name=f"utest-node-{node_rank}",
        command=command,
        image="utest:1",
        env=(("A", "1"), ("B", "x=y"), ("EMPTY", ""), ("LANG", "C"), ("PATH", "/bin")),
        mounts=(Mount("/tmp", "/out", False), Mount("/usr/share", "/share", True)),
        limits=Limits(cpus=0.5, memory_bytes=2**24, shm_bytes=2**25, pids=64),
        user="1000:1000",
        network="utest-net",
        confinement=Confinement(("ALL",), no_new_privileges=True, privileged=False),
        workdir="/tmp",
    )


def observed(name: str, wanted: NodeSpec, status: NodeStatus, **changes: Any) -> ObservedNode:
    """A node with the id and the times of the capture, and all else as told."""
    found = capture(name)
    node = ObservedNode(
        id=found["Id"],
        spec=wanted,
        run_id="run-1",
        spec_hash="v1:sha256feed",
        status=status,
        created_at_s=parse_time(found["Created"]),
        started_at_s=parse_time(found["State"]["StartedAt"]),
        image_id=IMAGE_ID,
        network_id=NETWORK_ID,
        run_dir="/runs/utest/run-1",
    )
    return replace(node, **changes)


def ended(name: str, wanted: NodeSpec, code: int, *, oom_killed: bool = False) -> ObservedNode:
    finished_at_s = parse_time(capture(name)["State"]["FinishedAt"])
    assert finished_at_s is not None
    return observed(
        name,
        wanted,
        NodeStatus.EXITED,
        exit_code=code,
        oom_killed=oom_killed,
        finished_at_s=finished_at_s,
    )


SLEEP = spec(0, "sleep", "600")
HOG = spec(3, "sh", "-c", "x=aaaaaaaa; while true; do x=$x$x; done")
BOTH = replace(SLEEP, network="utest-net,utest-other")
NODES: dict[str, ObservedNode] = {
    # The engine fills in the network's id when the node starts.
    "created": observed("created", SLEEP, NodeStatus.CREATED, started_at_s=None, network_id=None),
    "running": observed("running", SLEEP, NodeStatus.RUNNING, address=ADDRESS),
    "paused": observed("paused", SLEEP, NodeStatus.PAUSED, address=ADDRESS),
    "disconnected": observed(
        "disconnected", replace(SLEEP, network=None), NodeStatus.RUNNING, network_id=None
    ),
    "two-networks": observed(
        "two-networks", BOTH, NodeStatus.RUNNING, network_id=None, address=ADDRESS
    ),
    "killed": replace(ended("killed", BOTH, 137), network_id=None),
    "exited": ended("exited", spec(1, "sh", "-c", "exit 3"), 3),
    "not-found": ended("not-found", spec(2, "trian"), 127),
    "out-of-memory": ended("out-of-memory", HOG, 137, oom_killed=True),
    "not-started": observed(
        "not-started",
        replace(spec(4, "true"), user="nobody-here"),
        NodeStatus.CREATED,
        started_at_s=None,
        error="unable to find user nobody-here: no matching entries in passwd file",
    ),
}


@pytest.mark.parametrize("name", NODES)
def test_a_container_as_a_node(name: str) -> None:
    found = capture(name)
    assert (is_node(found), node_from_inspect(found)) == (True, NODES[name])


def test_running_nodes_have_started() -> None:
    started = [name for name, node in NODES.items() if node.started_at_s is not None]
    assert started == [
        "running",
        "paused",
        "disconnected",
        "two-networks",
        "killed",
        "exited",
        "not-found",
        "out-of-memory",
    ]


def test_a_container_with_nothing_set_is_read_as_the_engines_defaults() -> None:
    found = capture("plain")
    assert not is_node(found)
    found["Config"]["Labels"] = {"orchestrate.project": "x", "orchestrate.node_rank": "0"}
    assert node_from_inspect(found).spec == NodeSpec(
        node_rank=0,
        num_ranks=1,
        name="utest-plain",
        command=("true",),
        image="tiny:1",
        limits=Limits(shm_bytes=64 * 2**20),
        network="bridge",
        confinement=Confinement((), no_new_privileges=False, privileged=False),
    )


MEMLOCK = [{"Name": "memlock", "Hard": -1, "Soft": -1}]


def request(count: int, *uuids: str) -> dict[str, Any]:
    return {
        "Driver": "",
        "Count": count,
        "DeviceIDs": list(uuids) or None,
        "Capabilities": [["gpu"]],
        "Options": {},
    }


CDI_REQUEST = {
    "Driver": "cdi",
    "Count": 0,
    "DeviceIDs": ["nvidia.com/gpu=GPU-a", "nvidia.com/gpu=GPU-b"],
    "Capabilities": None,
    "Options": None,
}


@pytest.mark.parametrize(
    ("requests", "ulimits", "gpus", "memlock_bytes"),
    [
        (None, MEMLOCK, (), None),  # the engine's own default is nothing that we asked for
        ([], None, (), None),
        ([request(0, "GPU-a", "GPU-b")], MEMLOCK, ("GPU-a", "GPU-b"), -1),
        ([request(0, "GPU-a")], None, ("GPU-a",), None),
        ([request(-1)], None, ("all",), None),
        ([request(2)], None, ("any 2",), None),
        ([request(0, "GPU-a"), request(-1)], MEMLOCK, ("GPU-a", "all"), -1),
        ([CDI_REQUEST], MEMLOCK, ("nvidia.com/gpu=GPU-a", "nvidia.com/gpu=GPU-b"), -1),
    ],
)
def test_gpus_however_they_were_asked_for(
    requests: list[dict[str, Any]] | None,
    ulimits: list[dict[str, Any]] | None,
    gpus: tuple[str, ...],
    memlock_bytes: int | None,
) -> None:
    found = capture("running")
    found["HostConfig"] |= {"DeviceRequests": requests, "Ulimits": ulimits}
    limits = replace(SLEEP.limits, memlock_bytes=memlock_bytes)
    assert node_from_inspect(found).spec == replace(SLEEP, gpus=gpus, limits=limits)


@pytest.mark.parametrize("pids", [None, 0, -1])
def test_no_limit_on_processes_is_told_in_three_ways(pids: int | None) -> None:
    found = capture("running")
    found["HostConfig"]["PidsLimit"] = pids
    assert node_from_inspect(found).spec.limits.pids is None


def test_no_new_privileges_is_also_written_with_a_value() -> None:
    found = capture("running")
    found["HostConfig"]["SecurityOpt"] = ["no-new-privileges:true"]
    assert node_from_inspect(found).spec == SLEEP


@pytest.mark.parametrize(
    ("setting", "value", "loosened"),
    [
        ("SecurityOpt", ["no-new-privileges", "seccomp=unconfined"], ("seccomp=unconfined",)),
        ("SecurityOpt", ["apparmor=unconfined", "no-new-privileges"], ("apparmor=unconfined",)),
    ],
)
def test_what_loosens_a_node_is_found(
    setting: str, value: list[str], loosened: tuple[str, ...]
) -> None:
    found = capture("running")
    found["HostConfig"][setting] = value
    confinement = node_from_inspect(found).spec.confinement
    assert confinement == Confinement(security_opt=loosened)


def test_an_option_that_takes_the_promise_back_is_shown() -> None:
    found = capture("running")
    found["HostConfig"]["SecurityOpt"] = ["no-new-privileges:false"]
    assert node_from_inspect(found).spec.confinement == Confinement(
        no_new_privileges=False, security_opt=("no-new-privileges:false",)
    )


def test_capabilities_that_were_given_back_are_found() -> None:
    found = capture("running")
    found["HostConfig"]["CapAdd"] = ["NET_ADMIN"]
    assert node_from_inspect(found).spec.confinement == Confinement(cap_add=("NET_ADMIN",))


def test_a_read_only_root_and_folders_in_memory_are_found() -> None:
    found = capture("running")
    found["HostConfig"] |= {"ReadonlyRootfs": True, "Tmpfs": {"/tmp": "rw,size=4096"}}
    assert node_from_inspect(found).spec.confinement == Confinement(
        read_only_root=True, tmpfs=(("/tmp", "rw,size=4096"),)
    )


def test_a_container_on_its_way_out_is_dead() -> None:
    found = capture("running")
    found["State"]["Status"] = "removing"
    assert node_from_inspect(found).status is NodeStatus.DEAD


OURS = {"orchestrate.project": "x", "orchestrate.node_rank": "0", "orchestrate.num_ranks": "1"}
LABELS: list[tuple[dict[str, str] | None, bool]] = [
    (OURS, True),
    (OURS | {"orchestrate.node_rank": "9999999"}, True),
    (None, False),
    ({}, False),
    ({"orchestrate.node_rank": "0"}, False),
    ({"orchestrate.project": "x"}, False),
    (OURS | {"orchestrate.node_rank": ""}, False),
    (OURS | {"orchestrate.node_rank": "-1"}, False),
    (OURS | {"orchestrate.node_rank": "one"}, False),
    (OURS | {"orchestrate.node_rank": "\u0663"}, False),
    (OURS | {"orchestrate.node_rank": "\u00b2"}, False),
    (OURS | {"orchestrate.node_rank": "9" * 5000}, False),
    (OURS | {"orchestrate.num_ranks": "abc"}, False),
    (OURS | {"orchestrate.num_ranks": ""}, False),
]


@pytest.mark.parametrize(("labels", "ours"), LABELS)
def test_only_labels_that_can_be_read_make_a_node(
    labels: dict[str, str] | None, ours: bool
) -> None:
    hostname = "x-node-" + (labels or {}).get("orchestrate.node_rank", "")
    assert is_node({"Config": {"Labels": labels, "Hostname": hostname}}) is ours


@pytest.mark.parametrize("hostname", ["3f2a5c7e9d10", "y-node-0", "x-node-1", "", None])
def test_what_only_inherited_its_labels_is_no_node(hostname: str | None) -> None:
    assert not is_node({"Config": {"Labels": OURS, "Hostname": hostname}})


@given(st.dictionaries(st.sampled_from(sorted(OURS)), st.text(max_size=9)))
def test_a_container_that_is_node_can_always_be_read(labels: dict[str, str]) -> None:
    found = capture("running")
    found["Config"]["Labels"] = labels
    if is_node(found):
        assert node_from_inspect(found).node_rank == int(labels["orchestrate.node_rank"])


def test_an_image_with_defaults() -> None:
    assert image_from_inspect(capture("image"), "utest:1") == ObservedImage(
        tag="utest:1",
        id=IMAGE_ID,
        build_inputs="v1:sha256beef",
        env=(("LANG", "C"), ("PATH", "/bin")),
        user="1000",
        workdir="/srv",
    )


def test_an_image_without_defaults() -> None:
    found = capture("image-plain")
    assert image_from_inspect(found, "tiny:1") == ObservedImage("tiny:1", found["Id"])


def test_networks_ours_and_not_ours() -> None:
    plain = capture("network-plain")
    found = [network_from_inspect(capture("network"), "utest"), network_from_inspect(plain, None)]
    assert found == [
        ObservedNetwork(NETWORK_ID, "utest-net", True, "utest"),
        ObservedNetwork(plain["Id"], "utest-other", False, None),
    ]


TIMES: dict[str, float | None] = {
    "1970-01-01T00:00:01Z": 1.0,
    "2026-11-22T11:20:18.527993341Z": 1795346418.527993341,
    "2026-11-22T12:20:18.5+01:00": 1795346418.5,
    "2026-11-22T05:50:18-05:30": 1795346418.0,
    "0001-01-01T00:00:00Z": None,
    "": None,
    "now": None,
    "2026-11-22": None,
    "2026-11-22 11:20:18Z": None,
    "2026-11-22T11:20:18": None,
    "2026-11-22T11:20:18.Z": None,
    "2026-13-22T11:20:18Z": None,
    "2026-02-30T11:20:18Z": None,
    "2026-11-22T25:20:18Z": None,
    "2026-11-22T11:20:18+99:00": None,
    "\u0662\u0660\u0662\u0666-11-22T11:20:18Z": None,
    "2026-11-22T11:20:18Z ": None,
}


@pytest.mark.parametrize("text", TIMES)
def test_times(text: str) -> None:
    assert parse_time(text) == TIMES[text]


@given(st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(\.[0-9]{1,9})?(Z|[+-][0-9:]{5})"))
def test_no_time_raises(text: str) -> None:
    at_s = parse_time(text)
    assert at_s is None or isinstance(at_s, float)


@pytest.mark.parametrize(
    ("label", "count"), [("2", 2), ("", 0), ("-1", 0), ("many", 0), ("9" * 99, 0)]
)
def test_a_restart_count_is_read_from_its_label_and_is_no_part_of_the_spec(
    label: str, count: int
) -> None:
    found = copy.deepcopy(capture("running"))
    found["Config"]["Labels"]["orchestrate.restart_count"] = label
    found["Config"]["Env"] += ["ORCHESTRATE_RESTART_COUNT=2", "TORCHELASTIC_RESTART_COUNT=2"]
    assert node_from_inspect(found) == replace(NODES["running"], restart_count=count)


SECRETS_LABELS = {"orchestrate.secrets": "a,b", "orchestrate.hidden_env": "PATH,TOKEN"}
SECRETS_MOUNT = {"Type": "bind", "Source": "/s", "Target": "/run/secrets", "ReadOnly": True}


def test_secrets_are_known_by_label_and_mount_and_never_by_value() -> None:
    found = capture("running")
    found["Config"]["Labels"] |= SECRETS_LABELS
    found["HostConfig"]["Mounts"] = [SECRETS_MOUNT]
    spec = node_from_inspect(found).spec
    assert (spec.secrets, spec.mounts) == ((Secret("a"), Secret("b")), ())
    assert spec.hidden_env == ("PATH", "TOKEN")


@pytest.mark.parametrize("mounts", [[], [SECRETS_MOUNT | {"ReadOnly": False}]])
def test_a_label_without_its_mount_makes_no_secret(mounts: list[dict[str, object]]) -> None:
    found = capture("running")
    found["Config"]["Labels"] |= SECRETS_LABELS
    found["HostConfig"]["Mounts"] = mounts
    spec = node_from_inspect(found).spec
    assert (spec.secrets, len(spec.mounts)) == ((), len(mounts))


PROBE_ENV = ["PYTHONPATH=/opt/orchestrate/probe:/app", "ORCHESTRATE_PROBE_CHANNEL=/proc/1/fd/1"]
PROBE_MOUNT = {
    "Type": "bind",
    "Source": "/state/probe/1234",
    "Target": "/opt/orchestrate/probe",
    "ReadOnly": True,
}


def with_probe(
    env: list[str], mount: dict[str, object], source: str = "/state/probe/1234"
) -> NodeSpec:
    found = capture("running")
    found["Config"]["Labels"] |= {"orchestrate.probe": source}
    found["Config"]["Env"] += env
    found["HostConfig"]["Mounts"].append(mount)
    return node_from_inspect(found).spec


def test_a_probe_is_found_whole_and_what_it_was_put_before_stays() -> None:
    bare = node_from_inspect(capture("running")).spec
    env = (*bare.env, ("PYTHONPATH", "/app"))
    assert with_probe(PROBE_ENV, PROBE_MOUNT) == replace(bare, probe=True, env=tuple(sorted(env)))


@pytest.mark.parametrize(
    ("env", "mount", "source"),
    [
        (
            ["PYTHONPATH=/app:/opt/orchestrate/probe", PROBE_ENV[1]],
            PROBE_MOUNT,
            "/state/probe/1234",
        ),
        (PROBE_ENV[1:], PROBE_MOUNT, "/state/probe/1234"),
        (PROBE_ENV[:1], PROBE_MOUNT, "/state/probe/1234"),
        (PROBE_ENV, PROBE_MOUNT | {"ReadOnly": False}, "/state/probe/1234"),
        (PROBE_ENV, PROBE_MOUNT | {"Source": "/evil"}, "/state/probe/1234"),
        (PROBE_ENV, PROBE_MOUNT | {"Target": "/opt"}, "/state/probe/1234"),
        (PROBE_ENV, PROBE_MOUNT, ""),
    ],
    ids=["not first", "no path", "no channel", "writable", "another folder", "elsewhere", "label"],
)
def test_a_probe_of_which_a_part_was_changed_is_none_and_all_of_it_is_shown(
    env: list[str], mount: dict[str, object], source: str
) -> None:
    found = with_probe(env, mount, source)
    shown = Mount(str(mount["Source"]), str(mount["Target"]), bool(mount["ReadOnly"]))
    assert (found.probe, shown in found.mounts) == (False, True)
    path = [pair.partition("=")[2] for pair in env if pair.startswith("PYTHONPATH")]
    assert [value for name, value in found.env if name == "PYTHONPATH"] == path


def test_an_image_that_was_committed_from_a_node_has_nothing_of_its_run() -> None:
    found = capture("image")
    found["Config"]["Env"] += ["ORCHESTRATE_RUN_ID=r0", "ORCHESTRATE_PROBE_HANG_S=5"]
    assert image_from_inspect(found, "t").env == (("LANG", "C"), ("PATH", "/bin"))
