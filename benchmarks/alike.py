"""Shows that the contestants' containers are equal in all that costs time. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

HOST_FIELDS = (
    "AutoRemove", "CapAdd", "CapDrop", "Init", "IpcMode", "Memory", "MemorySwap", "NanoCpus",
    "PidsLimit", "Privileged", "ReadonlyRootfs", "SecurityOpt", "ShmSize",
)  # fmt: skip
"""Fields of HostConfig, as `docker inspect` names them."""

Traits = Mapping[str, object]


def traits_of(container: Mapping[str, Any], *, with_labels: bool) -> Traits:
    """What must be equal between two contestants.

    Args:
        container: one object of `docker inspect`.
        with_labels: whether the number of labels counts; compose sets labels of its own.
    """
    host, config = container["HostConfig"], container["Config"]
    networks = container["NetworkSettings"]["Networks"]
    traits: dict[str, object] = {name: host.get(name) for name in HOST_FIELDS}
    traits |= {
        "LogDriver": host["LogConfig"]["Type"],
        "RestartPolicy": host["RestartPolicy"]["Name"] or "no",
        "Cmd": config["Cmd"],
        "Image": config["Image"],
        "HasHostnameOfItsOwn": config["Hostname"] == container["Name"].lstrip("/"),
        "Env": sorted(each.partition("=")[0] for each in config["Env"]),
        "NumNetworks": len(networks),
    }
    return traits | ({"NumLabels": len(config["Labels"])} if with_labels else {})


def differences(first: Traits, second: Traits) -> tuple[str, ...]:
    """Every trait that both have and that differs, as `name: first != second`."""
    return tuple(
        f"{name}: {first[name]!r} != {second[name]!r}"
        for name in first
        if name in second and first[name] != second[name]
    )
