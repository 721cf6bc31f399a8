"""What a user's script does: a linear model under DDP, and a place for each thing to go wrong."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from datetime import timedelta

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

NODE = int(os.environ["NODE_RANK"])
"""Which node this is, whatever a case does to RANK."""


def join(backend: str = "gloo") -> None:
    """Form the process group, as a script does; torch's own 30 minutes where no time is set."""
    wait_s = float(os.environ.get("JOB_TIMEOUT_S", "1800"))
    dist.init_process_group(backend, timeout=timedelta(seconds=wait_s))


def train(
    steps: int = 10, *, features: int = 4, before_step: Callable[[int], None] | None = None
) -> None:
    """Join, do some steps, leave."""
    # torch's optimizers do this, for seconds, at their first step: here it counts as no hang.
    importlib.import_module("torch._dynamo")
    join()
    model = DistributedDataParallel(torch.nn.Linear(features, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(1, steps + 1):
        if before_step is not None:
            before_step(step)
        loss = model(torch.randn(8, features)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(f"rank {dist.get_rank()}: step {step} loss {loss.item():.4f}", flush=True)
    leave()


def leave() -> None:
    """End well. torch's C++ threads may abort an interpreter that tears itself down."""
    dist.destroy_process_group()
    sys.stdout.flush()
    os._exit(0)
