"""What an engine has, as far as deciding must know."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

from msgspec import Struct, field


class EngineTraits(Struct, frozen=True):
    """What an engine has, as far as resolving and planning must know."""

    name: str
    has_images: bool
    has_networks: bool
    is_isolated: bool
    node_env: Mapping[str, str] = field(default_factory=dict)
    loopback: bool = False  # nodes share the host's loopback instead of having names
    gpu_variable: str = "NVIDIA_VISIBLE_DEVICES"  # which GPUs a node sees, by UUID
    gpu_env: Mapping[str, str] = field(default_factory=dict)  # added where a node has GPUs
    endpoint: str = ""  # which of several engines of this name; empty for the usual one
    places_probe: bool = True  # False: nodes cannot see a folder of this machine
    in_place: frozenset[str] = frozenset()  # fields that it can change while a node runs

    @property
    def lock_name(self) -> str:
        """Tells this engine from all others of this machine, in a form that suits a file name."""
        if not self.endpoint:
            return self.name
        return f"{self.name}-{zlib.crc32(self.endpoint.encode(errors='replace')):08x}"

    def address_of(self, node_name: str) -> str:
        """The address under which peers reach a node."""
        return "127.0.0.1" if self.loopback else node_name
