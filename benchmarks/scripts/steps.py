"""Trains a small model with the probe around it, which it can put aside for a turn.

Each line of standard input asks for one thing. `without`, `probed`, `telling`: a turn of some
steps, without the probe, with it, with it and one record and one look of its thread. The
answer is how many steps that were, and how many seconds they took by the wall clock and of
the processor. `record`: what a step that sends one takes more, with the one after it.
"""

import sys
import time
from statistics import median

import torch
from orchestrate_probe import reporting  # type: ignore[import-not-found]
from torch import nn
from torch.optim import optimizer as optimizers

WARM_UP_STEPS = 20
TURN_S = 0.0625
RECORD_STEPS = 15_000

torch.set_num_threads(1)
torch.manual_seed(1)
width, batch = int(sys.argv[1]), int(sys.argv[2])
model = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))
optimizer = torch.optim.AdamW(model.parameters())
inputs = torch.randn(batch, width)
reporter = reporting._reporter
watch = reporter.watch.__self__
hooks = dict(optimizers._global_optimizer_post_hooks)
(steps,) = (each.__self__ for each in hooks.values())  # type: ignore[attr-defined]


def put_aside() -> None:
    """No hook, no thread, no timer: all that the probe has going in a process that trains."""
    optimizers._global_optimizer_post_hooks.clear()
    watch._stop()


def put_back(due_s: float) -> None:
    """As it was, but for when steps are told next."""
    optimizers._global_optimizer_post_hooks.update(hooks)
    steps._due_s = due_s
    watch._start()


def step() -> None:
    """One step of training."""
    optimizer.zero_grad()
    model(inputs).square().mean().backward()
    optimizer.step()


def take_turn(mode: str) -> str:
    """Steps, and seconds by the wall clock and of the processor, of all threads of the process.

    The step before them is not counted: it finds nothing of its own in the caches.
    """
    if mode == "probed":
        put_back(float("inf"))
    else:
        put_aside()
    step()
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    if mode == "telling":
        put_back(0.0)
    num_steps = 0
    while time.perf_counter() < began_s + TURN_S:
        step()
        num_steps += 1
    took_s, took_cpu_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
    return f"{num_steps} {took_s} {took_cpu_s}"


def weigh_records() -> str:
    """Seconds of the processor that a record takes from the thread that trains."""
    put_back(0.0)
    times_s, told = [], []
    for number in range(RECORD_STEPS):
        known, began_s = reporter.num_steps, time.thread_time()
        step()
        times_s.append(time.thread_time() - began_s)
        if reporter.num_steps > known:
            told.append(number)
    usual_s = median(times_s)
    return str(median(times_s[at] + times_s[at + 1] - 2 * usual_s for at in told[1:-1]))


for _ in range(WARM_UP_STEPS):
    step()
for line in sys.stdin:
    asked = line.strip()
    print(weigh_records() if asked == "record" else take_turn(asked), flush=True)
