"""Trains a small model; does as many steps as each line of standard input says, and times them."""

import sys
import time

import torch
from torch import nn

torch.set_num_threads(1)
torch.manual_seed(1)
width, batch = int(sys.argv[1]), int(sys.argv[2])
model = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))
optimizer = torch.optim.AdamW(model.parameters())
inputs = torch.randn(batch, width)
for line in sys.stdin:
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    for _ in range(int(line)):
        optimizer.zero_grad()
        model(inputs).square().mean().backward()
        optimizer.step()
    # All threads of the process: what the probe's does beside the step is in it.
    print(time.perf_counter() - began_s, time.process_time() - began_cpu_s, flush=True)
