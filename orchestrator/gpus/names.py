"""Two names for a device: its UUID, and what an engine that knows CDI calls it. Pure."""

from __future__ import annotations

CDI_KIND = "nvidia.com/gpu"
"""What NVIDIA's container toolkit calls GPUs and MIG slices in the Container Device Interface."""


def cdi_name(uuid: str) -> str:
    """What an engine is asked for that injects devices by their specification."""
    return f"{CDI_KIND}={uuid}"


def is_cdi(name: str) -> bool:
    """True of a CDI name, false of a bare UUID."""
    return "=" in name


def uuid_of(name: str) -> str:
    """The UUID in either kind of name."""
    return name.rpartition("=")[2]
