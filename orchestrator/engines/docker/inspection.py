"""What `docker inspect` prints, turned into observed state. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from orchestrator.engines.docker.health import health_command, node_health
from orchestrator.engines.docker.reading import typed
from orchestrator.identity import ENV_PROBE_CHANNEL, without_probe, without_run
from orchestrator.images.labels import LABEL_INPUTS
from orchestrator.state.labels import (
    LABEL_COMPUTE_MODE,
    LABEL_COMPUTE_MODE_BEFORE,
    LABEL_HIDDEN_ENV,
    LABEL_NODE_RANK,
    LABEL_NUM_RANKS,
    LABEL_PROBE,
    LABEL_PROJECT,
    LABEL_RESTART_COUNT,
    LABEL_RUN_DIR,
    LABEL_RUN_ID,
    LABEL_SECRETS,
    LABEL_SIDECAR,
    LABEL_SPEC_HASH,
    PROBE_FOLDER,
    SECRETS_FOLDER,
)
from orchestrator.state.observed import (
    NodeStatus,
    ObservedImage,
    ObservedNetwork,
    ObservedNode,
    ObservedSidecar,
    Oddity,
)
from orchestrator.state.spec import (
    SHAREABLE,
    Confinement,
    Limits,
    Mount,
    NodeSpec,
    Secret,
    SidecarSpec,
)

Json = Mapping[str, Any]

PROBE_CHANNEL = "/proc/1/fd/1"
"""Where the probe writes: the log of the container, whatever has become of a script's stdout."""

_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)", re.ASCII)
_COUNT = re.compile(r"[0-9]{1,7}")
_ROLE = re.compile(r"[a-z]{1,16}")
_CONTAINER = "container:"


def parse_time(text: str) -> float | None:
    """RFC 3339 with nanoseconds to seconds since the epoch; Docker's year 1 and garbage: None."""
    match = _TIME.fullmatch(text)
    if match is None or text.startswith("0001-"):
        return None
    whole, fraction, zone = match.groups()
    try:
        moment = datetime.fromisoformat(whole + ("+00:00" if zone == "Z" else zone))
    except ValueError:  # month 13, or a zone of a day and more
        return None
    return moment.timestamp() + float(f"0.{fraction or 0}")


def is_node(inspected: Json) -> bool:
    """True when a container carries every label that a node needs, and its hostname.

    Anybody can put labels on a container: what `_spec` reads from them is checked here. An
    image that was committed from a node hands them on to whatever is made of it, though not
    the hostname, which stays as it was given whatever the container is renamed to.
    """
    labels = container_labels(inspected)
    counts = (labels.get(LABEL_NODE_RANK, ""), labels.get(LABEL_NUM_RANKS, "1"))
    if LABEL_PROJECT not in labels or not all(_COUNT.fullmatch(count) for count in counts):
        return False
    hostname = f"{labels[LABEL_PROJECT]}-node-{labels[LABEL_NODE_RANK]}"
    return str(inspected["Config"].get("Hostname")) == hostname


def is_sidecar(inspected: Json) -> bool:
    """True when a container carries the labels of a sidecar, and its hostname; see `is_node`."""
    labels = container_labels(inspected)
    role = labels.get(LABEL_SIDECAR, "")
    if LABEL_PROJECT not in labels or not _ROLE.fullmatch(role):
        return False
    return str(inspected["Config"].get("Hostname")) == f"{labels[LABEL_PROJECT]}-{role}"


def node_from_inspect(inspected: Json) -> ObservedNode:
    """One container that `is_node` as an observed node."""
    labels = container_labels(inspected)
    spec = NodeSpec(
        **_spec(inspected, labels),
        ipc=_joined_ipc(inspected["HostConfig"]),
        node_rank=int(labels[LABEL_NODE_RANK]),
        num_ranks=int(labels.get(LABEL_NUM_RANKS, "1")),
    )
    node = ObservedNode(
        **_found(inspected, labels),
        spec=spec,
        restart_count=_count(labels.get(LABEL_RESTART_COUNT, "")),
        address=_address(inspected),
    )
    return typed(node)


def sidecar_from_inspect(inspected: Json) -> ObservedSidecar:
    """One container that `is_sidecar` as an observed sidecar."""
    labels = container_labels(inspected)
    spec = SidecarSpec(
        **_spec(inspected, labels),
        ipc=str(inspected["HostConfig"].get("IpcMode") or "") or None,
        role=labels[LABEL_SIDECAR],
        compute_mode=labels.get(LABEL_COMPUTE_MODE) or None,
    )
    before = (each.partition("=") for each in _names(labels, LABEL_COMPUTE_MODE_BEFORE))
    restores = tuple((uuid, mode) for uuid, _, mode in before if mode)
    return typed(ObservedSidecar(**_found(inspected, labels), spec=spec, restores=restores))


def _found(inspected: Json, labels: Mapping[str, str]) -> dict[str, Any]:
    """What is found in the same way of every container of ours, but for its spec."""
    state = inspected["State"]
    return {
        "id": inspected["Id"],
        "run_id": labels.get(LABEL_RUN_ID, ""),
        "spec_hash": labels.get(LABEL_SPEC_HASH, ""),
        "status": _status(state["Status"]),
        "exit_code": state["ExitCode"] if state["Status"] in {"exited", "dead"} else None,
        "oom_killed": bool(state.get("OOMKilled")),
        "created_at_s": parse_time(inspected.get("Created", "")),
        "started_at_s": parse_time(state.get("StartedAt", "")),
        "finished_at_s": parse_time(state.get("FinishedAt", "")),
        "image_id": inspected["Image"],
        "network_id": _network_id(inspected),
        "error": state.get("Error", ""),
        "run_dir": labels.get(LABEL_RUN_DIR, ""),
        "was_restarted": _was_restarted(inspected),
        "entrypoint": tuple(inspected["Config"].get("Entrypoint") or ()),
        "oddities": _oddities(inspected),
        "health": node_health(state),
    }


def _was_restarted(inspected: Json) -> bool:
    """True when a node that runs had ended before; Docker keeps the time of the last end.

    Neither a label nor RestartCount tells: the one is written before the first start, the
    other counts what a restart policy did.
    """
    state = inspected["State"]
    has_ended = parse_time(state.get("FinishedAt", "")) is not None
    return has_ended and state["Status"] in {"running", "paused", "restarting"}


# What `docker update` can set and no playbook asks for. A playbook's `cpus` is NanoCpus.
_UNUSED = {
    "BlkioWeight": "blkio_weight",
    "CpuPeriod": "cpu_period",
    "CpuQuota": "cpu_quota",
    "CpuRealtimePeriod": "cpu_rt_period",
    "CpuRealtimeRuntime": "cpu_rt_runtime",
    "CpuShares": "cpu_shares",
    "CpusetCpus": "cpuset_cpus",
    "CpusetMems": "cpuset_mems",
    "MemoryReservation": "memory_reservation",
}


def _oddities(inspected: Json) -> tuple[Oddity, ...]:
    """Settings that `create_options` leaves alone and that somebody has changed since."""
    host = inspected["HostConfig"]
    # An engine may tell of `cpus` in the older words, too.
    told = {"CpuPeriod", "CpuQuota"} if host.get("NanoCpus") else set()
    odd = [
        Oddity(name, str(host[key]), "")
        for key, name in sorted(_UNUSED.items())
        if host.get(key) and key not in told
    ]
    if devices := host.get("Devices"):
        odd.append(Oddity("devices", ",".join(sorted(map(_device, devices))), ""))
    policy = (host.get("RestartPolicy") or {}).get("Name") or "no"
    if policy != "no":
        odd.append(Oddity("restart_policy", policy, "no"))
    memory, swap = host.get("Memory") or 0, host.get("MemorySwap") or 0
    # -1 also on every node of a kernel that does not account for swap.
    if memory and swap not in {memory, -1}:
        odd.append(Oddity("resources.memory_swap", str(swap), str(memory)))
    return tuple(odd)


def _device(device: Json) -> str:
    return str(device.get("PathInContainer") or device.get("PathOnHost"))


def _count(text: str) -> int:
    return int(text) if _COUNT.fullmatch(text) else 0


def container_labels(inspected: Json) -> dict[str, str]:
    """A container's labels."""
    return inspected["Config"].get("Labels") or {}


def network_labels(inspected: Json) -> dict[str, str]:
    """A network's labels."""
    return inspected.get("Labels") or {}


def _status(status: str) -> NodeStatus:
    # "removing" is on its way out: dead is the nearest that this program acts upon.
    return NodeStatus.DEAD if status == "removing" else NodeStatus(status)


def _networks(inspected: Json) -> dict[str, Json]:
    return inspected["NetworkSettings"].get("Networks") or {}


def _network_id(inspected: Json) -> str | None:
    ids = [each.get("NetworkID", "") for each in _networks(inspected).values()]
    return ids[0] if len(ids) == 1 and ids[0] else None


def _address(inspected: Json) -> str:
    """Its address on its network, which this machine reaches where Docker runs on it."""
    addresses = (str(each.get("IPAddress") or "") for each in _networks(inspected).values())
    return next((address for address in addresses if address), "")


def _joined_ipc(host: Json) -> str | None:
    """Whose IPC namespace a node has joined; an engine may let others join its own by default."""
    mode = str(host.get("IpcMode") or "")
    return None if mode in {"", "private", SHAREABLE} else mode.removeprefix(_CONTAINER)


def _spec(inspected: Json, labels: Mapping[str, str]) -> dict[str, Any]:
    """What a node's spec and a sidecar's have in common."""
    config, host = inspected["Config"], inspected["HostConfig"]
    env = dict(_pair(item) for item in config.get("Env") or [])
    mounts = _mounts(host)
    # Whole or not at all: of what was changed by hand the plan shows each part.
    probe = Mount(labels.get(LABEL_PROBE, ""), PROBE_FOLDER, read_only=True)
    own_env = without_probe(env, PROBE_FOLDER) if probe in mounts else None
    has_probe = own_env is not None and env.get(ENV_PROBE_CHANNEL) == PROBE_CHANNEL
    if own_env is not None and has_probe:
        env, mounts = own_env, tuple(mount for mount in mounts if mount != probe)
    # Secrets are those that the labels name, and only where something is mounted for them.
    has_secrets = LABEL_SECRETS in labels and any(map(_holds_secrets, mounts))
    names = _names(labels, LABEL_SECRETS) if has_secrets else ()
    return {
        "name": inspected["Name"].lstrip("/"),
        "image": config["Image"],
        "command": tuple(config.get("Cmd") or ()),
        "env": without_run(env),
        "mounts": tuple(mount for mount in mounts if not (has_secrets and _holds_secrets(mount))),
        "limits": _limits(host),
        "user": config.get("User") or None,
        "network": ",".join(sorted(_networks(inspected))) or None,
        "confinement": _confinement(host),
        "workdir": config.get("WorkingDir") or None,
        "gpus": _gpus(host),
        "hidden_env": _names(labels, LABEL_HIDDEN_ENV),
        "secrets": tuple(map(Secret, names)),
        "probe": has_probe,
        "health": health_command(config),
    }


def _pair(item: str) -> tuple[str, str]:
    name, _, value = item.partition("=")
    return name, value


def _names(labels: Mapping[str, str], label: str) -> tuple[str, ...]:
    text = labels.get(label, "")
    return tuple(text.split(",")) if text else ()


def _holds_secrets(mount: Mount) -> bool:
    return mount.target == SECRETS_FOLDER and mount.read_only


def _mounts(host: Json) -> tuple[Mount, ...]:
    binds = [mount for mount in host.get("Mounts") or [] if mount["Type"] == "bind"]
    return tuple(
        sorted(
            Mount(mount["Source"], mount["Target"], bool(mount.get("ReadOnly"))) for mount in binds
        )
    )


def _limits(host: Json) -> Limits:
    return Limits(
        cpus=host["NanoCpus"] / 1e9 if host.get("NanoCpus") else None,
        memory_bytes=host.get("Memory") or None,
        # That of a container which it shares one with is told as if it were its own.
        shm_bytes=None if _joins(host) else host.get("ShmSize") or None,
        # Docker reports "no limit" as null, 0 or -1, depending on its version.
        pids=pids if (pids := host.get("PidsLimit") or 0) > 0 else None,
        memlock_bytes=_memlock(host),
    )


def _joins(host: Json) -> bool:
    return str(host.get("IpcMode") or "").startswith(_CONTAINER)


def _memlock(host: Json) -> int | None:
    # An engine may have defaults of its own; only nodes with GPUs are given a limit of ours.
    if not host.get("DeviceRequests"):
        return None
    limits = {limit["Name"]: int(limit["Hard"]) for limit in host.get("Ulimits") or []}
    return limits.get("memlock")


def _gpus(host: Json) -> tuple[str, ...]:
    """The devices asked for, whoever drives them: we ask for none but GPUs, and those by UUID.

    One that is asked for by a CDI name is found by that name.
    """
    asked: list[str] = []
    for request in host.get("DeviceRequests") or []:
        count = request.get("Count") or 0
        asked += request.get("DeviceIDs") or []
        asked += ["all"] if count < 0 else [f"any {count}"] if count else []
    return tuple(asked)


def _confinement(host: Json) -> Confinement:
    options = host.get("SecurityOpt") or []
    return Confinement(
        cap_drop=tuple(host.get("CapDrop") or ()),
        no_new_privileges=any(map(_is_no_new_privileges, options)),
        privileged=bool(host.get("Privileged")),
        read_only_root=bool(host.get("ReadonlyRootfs")),
        tmpfs=tuple(sorted((host.get("Tmpfs") or {}).items())),
        cap_add=tuple(sorted(host.get("CapAdd") or ())),
        security_opt=tuple(sorted(o for o in options if not _is_no_new_privileges(o))),
    )


def _is_no_new_privileges(option: str) -> bool:
    # `no-new-privileges:false` is the same as leaving it out, and then shown as what it is.
    return option in {"no-new-privileges", "no-new-privileges:true", "no-new-privileges=true"}


def image_from_inspect(inspected: Json, tag: str) -> ObservedImage:
    """One image, with the defaults that containers inherit from it."""
    config = inspected.get("Config") or {}
    image = ObservedImage(
        tag=tag,
        id=inspected["Id"],
        build_inputs=(config.get("Labels") or {}).get(LABEL_INPUTS),
        # An image that was committed from a node still has what that was told of its run.
        env=without_run(dict(_pair(item) for item in config.get("Env") or [])),
        user=config.get("User") or "",
        workdir=config.get("WorkingDir") or "",
        entrypoint=tuple(config.get("Entrypoint") or ()),
        health=health_command(config),
    )
    return typed(image)


def network_from_inspect(inspected: Json, project: str | None) -> ObservedNetwork:
    """One network; `project` is None where it is not ours."""
    network = ObservedNetwork(
        id=inspected["Id"],
        name=inspected["Name"],
        internal=bool(inspected.get("Internal")),
        project=project,
        oddities=_network_oddities(inspected),
    )
    return typed(network)


def _network_oddities(inspected: Json) -> tuple[Oddity, ...]:
    """What keeps nodes from each other; options that an engine may have as its defaults are not."""
    odd = []
    if (driver := inspected.get("Driver", "bridge")) != "bridge":
        odd.append(Oddity("driver", driver, "bridge"))
    if (inspected.get("Options") or {}).get(_ICC, "true") != "true":
        odd.append(Oddity("enable_icc", "false", "true"))
    return tuple(odd)


_ICC = "com.docker.network.bridge.enable_icc"
