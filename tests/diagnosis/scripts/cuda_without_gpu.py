"""The script wants a GPU where there is none."""

import job
import torch

job.join()
torch.nn.Linear(4, 1).to("cuda")
