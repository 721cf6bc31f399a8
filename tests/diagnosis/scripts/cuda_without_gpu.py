"""The script wants a GPU where there is none."""

import torch

import job

job.join()
torch.nn.Linear(4, 1).to("cuda")
