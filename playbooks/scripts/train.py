"""Plain torch.distributed: a linear model, trained in parallel until every rank agrees on it.

Runs under anything that sets RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT.
"""

import os

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

dist.init_process_group("gloo")
rank, world_size = dist.get_rank(), dist.get_world_size()

torch.manual_seed(rank)  # DDP starts all ranks from rank 0's weights all the same
model = DistributedDataParallel(torch.nn.Linear(4, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
truth = torch.tensor([[1.0], [-2.0], [3.0], [0.5]])

for step in range(1, 201):
    inputs = torch.randn(32, 4)
    loss = torch.nn.functional.mse_loss(model(inputs), inputs @ truth)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"rank {rank} of {world_size}: step {step} loss {loss.item():.6f}", flush=True)

weights = torch.cat([parameter.detach().flatten() for parameter in model.parameters()])
everyones = [torch.empty_like(weights) for _ in range(world_size)]
dist.all_gather(everyones, weights)
if not all(torch.equal(weights, each) for each in everyones):
    raise SystemExit("the ranks ended with different weights")
if loss.item() > 1e-3:
    raise SystemExit(f"the loss is still {loss.item()}")
dist.destroy_process_group()
# torch's C++ threads, torn down by the interpreter while they run, now and then abort a process
# that has done all it should ("terminate called without an active exception"): leave without.
os._exit(0)
