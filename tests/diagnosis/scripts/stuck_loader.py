"""A DataLoader worker of node 1 waits for a lock that nobody lets go."""

import multiprocessing

import job
import torch
from torch.utils.data import DataLoader, Dataset

lock = multiprocessing.Lock()


class Shards(Dataset[torch.Tensor]):
    """The sixth sample of node 1 never comes."""

    def __len__(self) -> int:
        return 100

    def __getitem__(self, index: int) -> torch.Tensor:
        if job.NODE == 1 and index == 6:
            lock.acquire()
            lock.acquire()
        return torch.randn(4)


samples = iter(DataLoader(Shards(), num_workers=1))


def before_step(step: int) -> None:
    """Read a sample."""
    next(samples)


job.train(steps=50, before_step=before_step)
