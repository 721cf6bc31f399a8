"""What a playbook asks of the machine's GPUs. Pure."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Sharing = Literal["exclusive", "shared", "mps", "mig"]


class GpuDemand(Struct, frozen=True):
    """GPUs that every node is to get; which ones is decided when the machine's are known.

    Attributes:
        mode: `exclusive`: no two nodes have one in common; `shared`, `mps`: all have the same
            one; `mig`: each has a slice of one for itself.
        per_node: how many each node gets; 1 in modes shared, mps and mig.
        devices: the only ones to choose from, by index or UUID; empty: all there are. In mode
            mig a GPU stands for all its slices.
        variable: the environment variable by which a node sees its GPUs and no others.
    """

    mode: Sharing
    variable: str
    per_node: int = 1
    devices: tuple[int | str, ...] = ()

    @property
    def is_alone(self) -> bool:
        """True when what one node gets is for it alone."""
        return self.mode not in {"shared", "mps"}
