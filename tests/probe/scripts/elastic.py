"""A rank of torchrun that closes its output, joins, and fails on one rank."""

import os

import torch.distributed as dist

os.close(1)
os.close(2)
dist.init_process_group("gloo")
if dist.get_rank() == 1:
    raise RuntimeError("the second one fails")
