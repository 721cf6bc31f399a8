"""Trains a small model with the probe around it, which it can put aside for some steps.

Each line of standard input says `with N` or `without N`; the answer is how long N steps took.
"""

import sys
import time

import torch
from orchestrate_probe import reporting  # type: ignore[import-not-found]
from torch import nn
from torch.optim import optimizer as optimizers

torch.set_num_threads(1)
torch.manual_seed(1)
width, batch = int(sys.argv[1]), int(sys.argv[2])
model = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))
optimizer = torch.optim.AdamW(model.parameters())
inputs = torch.randn(batch, width)
watch = reporting._reporter.watch.__self__
hooks = dict(optimizers._global_optimizer_post_hooks)


def put_aside() -> None:
    """No hook, no thread, no timer: all that the probe has going in a process that trains."""
    optimizers._global_optimizer_post_hooks.clear()
    watch._stop()


def put_back() -> None:
    """As it was."""
    optimizers._global_optimizer_post_hooks.update(hooks)
    watch._start()


for line in sys.stdin:
    mode, steps = line.split()
    (put_back if mode == "with" else put_aside)()
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    for _ in range(int(steps)):
        optimizer.zero_grad()
        model(inputs).square().mean().backward()
        optimizer.step()
    # All threads of the process: what the probe's does beside the step is in it.
    print(time.perf_counter() - began_s, time.process_time() - began_cpu_s, flush=True)
