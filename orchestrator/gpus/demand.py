"""What a playbook asks of the machine's GPUs. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Sharing = Literal["exclusive", "shared"]


@dataclass(frozen=True, slots=True)
class GpuDemand:
    """GPUs that every node is to get; which ones is decided when the machine's are known.

    Attributes:
        mode: `exclusive`: no two nodes have one in common; `shared`: all have the same one.
        per_node: how many each node gets; 1 in mode shared.
        devices: the only ones to choose from, by index or UUID; empty: all there are.
        variable: the environment variable by which a node sees its GPUs and no others.
    """

    mode: Sharing
    variable: str
    per_node: int = 1
    devices: tuple[int | str, ...] = ()
