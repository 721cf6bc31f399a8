"""Every node spawns both ranks by itself, as tutorials for a single machine do."""

import os

import job
import torch
from torch import distributed, multiprocessing


def be_rank(rank: int, world_size: int) -> None:
    """Be one of so many ranks on this machine."""
    os.environ |= {"MASTER_ADDR": "localhost", "RANK": str(rank), "WORLD_SIZE": str(world_size)}
    job.join()
    ones = torch.ones(1)
    distributed.all_reduce(ones)
    print(f"rank {rank}: {ones.item():.0f} ranks are here", flush=True)
    job.leave()


if __name__ == "__main__":
    multiprocessing.spawn(be_rank, args=(2,), nprocs=2)
