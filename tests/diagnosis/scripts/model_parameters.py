"""Node 1 builds its model with one layer more."""

import job
import torch
from torch.nn.parallel import DistributedDataParallel

job.join()
layers = [torch.nn.Linear(4, 4) for _ in range(2 + job.NODE)]
DistributedDataParallel(torch.nn.Sequential(*layers))
job.leave()
