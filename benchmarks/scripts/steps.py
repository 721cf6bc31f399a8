"""Trains a small model with the probe around it, which it can put aside for some steps.

Each line of standard input says `probed N` or `without N`; the answer is how long N steps took.
To `telling N` it is what a step that sends a record takes, with the one after it, more than two
others.
"""

import sys
import time
from statistics import median

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
reporter = reporting._reporter
watch = reporter.watch.__self__
hooks = dict(optimizers._global_optimizer_post_hooks)


def put_aside() -> None:
    """No hook, no thread, no timer: all that the probe has going in a process that trains."""
    optimizers._global_optimizer_post_hooks.clear()
    watch._stop()


def put_back() -> None:
    """As it was."""
    optimizers._global_optimizer_post_hooks.update(hooks)
    watch._start()


def step() -> None:
    """One step of training."""
    optimizer.zero_grad()
    model(inputs).square().mean().backward()
    optimizer.step()


def take_turn(num_steps: int) -> str:
    """Seconds by the wall clock, and of the processor: what the probe's thread does is in it."""
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    for _ in range(num_steps):
        step()
    return f"{time.perf_counter() - began_s} {time.process_time() - began_cpu_s}"


def tell(num_steps: int) -> str:
    """Seconds of the processor that a record takes from the thread that trains."""
    times_s, told = [], []
    for number in range(num_steps):
        known, began_s = reporter.num_steps, time.thread_time()
        step()
        times_s.append(time.thread_time() - began_s)
        if reporter.num_steps > known:
            told.append(number)
    usual_s = median(times_s)
    return str(median(times_s[at] + times_s[at + 1] - 2 * usual_s for at in told[1:-1]))


for line in sys.stdin:
    mode, num_steps = line.split()
    (put_aside if mode == "without" else put_back)()
    print((tell if mode == "telling" else take_turn)(int(num_steps)), flush=True)
