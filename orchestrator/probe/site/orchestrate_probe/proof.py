"""The proof that a group formed: a collective over all its ranks that adds up.

It runs on connections of its own, between the same processes and found through the same
store: the script's group is not touched (NCCL would choose a device for it, and its
sequence numbers would move), and no group is made that torch keeps account of.
"""

from __future__ import annotations

import hashlib
import os
import struct
import sys
from datetime import timedelta

from . import gpu

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

TIMEOUT_S = 30.0
CARD = struct.Struct("<q128s64s")
"""What ranks tell each other: rank, hostname, GPU; fixed in size, as a gather wants it."""

_num_proofs = 0


def prove(c10d: Any) -> dict[str, Any]:
    """Run the collective; return what `process_group_joined` says of it.

    Raises:
        RuntimeError: not all ranks came within TIMEOUT_S, or there is no gloo or no store.
    """
    rank, world_size = c10d.get_rank(), c10d.get_world_size()
    hostname, uuid = os.uname().nodename, gpu.chosen()
    card = CARD.pack(rank, hostname.encode()[:128], (uuid or "").encode()[:64])
    if world_size == 1:
        rank_sum, cards = rank, [card]
    else:
        rank_sum, cards = _exchange(c10d, rank, world_size, card)
    return {
        "rank": rank,
        "world_size": world_size,
        "rank_sum": rank_sum,
        "hostname": hostname,
        "gpu": uuid,
        "peers": hashlib.sha256(b"".join(cards)).hexdigest()[:16],
    }


def _exchange(c10d: Any, rank: int, world_size: int, card: bytes) -> tuple[int, list[bytes]]:
    """Sum up all ranks, and gather all cards in rank order."""
    torch: Any = sys.modules["torch"]
    group = _own_group(c10d, rank, world_size)
    total = torch.tensor([rank], dtype=torch.int64, device="cpu")
    group.allreduce([total]).wait()
    own = torch.tensor(list(card), dtype=torch.uint8, device="cpu")
    gathered = [torch.zeros_like(own) for _ in range(world_size)]
    group.allgather([gathered], [own]).wait()
    return int(total.item()), [bytes(each.tolist()) for each in gathered]


def _own_group(c10d: Any, rank: int, world_size: int) -> Any:
    global _num_proofs  # noqa: PLW0603  (a store may outlive a group: no key is used twice)
    if c10d.get_backend() in ("mpi", "fake"):
        raise RuntimeError(f"a group of backend {c10d.get_backend()} has no store to meet in")
    if not c10d.is_gloo_available():
        raise RuntimeError("this torch has no gloo")
    _num_proofs += 1
    store = c10d.PrefixStore(f"orchestrate_probe/{_num_proofs}", c10d._get_default_store())
    return c10d.ProcessGroupGloo(store, rank, world_size, timedelta(seconds=TIMEOUT_S))
