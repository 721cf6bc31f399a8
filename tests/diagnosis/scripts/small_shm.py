"""DataLoader workers hand over batches that do not fit into /dev/shm."""

import job
import torch
from torch.utils.data import DataLoader, Dataset


class Pictures(Dataset[torch.Tensor]):
    """Four MiB each."""

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.full((1024, 1024), float(index))


job.join()
for batch in DataLoader(Pictures(), batch_size=4, num_workers=1):
    print(f"a batch of {tuple(batch.shape)}", flush=True)
job.leave()
