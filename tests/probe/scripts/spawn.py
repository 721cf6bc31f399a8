"""Two ranks by multiprocessing, which are told who they are by their arguments, and join twice."""

import sys

import torch
import torch.distributed as dist
import torch.multiprocessing as mp


def rank_main(rank: int, port: str) -> None:
    for _ in range(2):
        dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
        total = torch.tensor([rank + 1])
        dist.all_reduce(total)
        print(rank, int(total))
        dist.destroy_process_group()


if __name__ == "__main__":
    mp.spawn(rank_main, args=(sys.argv[1],), nprocs=2)
