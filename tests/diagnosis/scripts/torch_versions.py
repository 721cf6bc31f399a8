"""Node 1 has another torch, whose collective of the fourth step is another one.

Two torches in one image cannot be had here: node 1 says that it has another one, and does
what another version may do.
"""

import job
import torch
import torch.distributed as dist

if job.NODE == 1:
    torch.__version__ = "2.9.1+cpu"


def before_step(step: int) -> None:
    """Gather a number."""
    if step == 4:
        size = 2 if job.NODE == 0 else 3
        dist.all_reduce(torch.ones(size))


job.train(before_step=before_step)
