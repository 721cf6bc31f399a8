"""Trains a model under DDP, others under FSDP2 and FSDP1; prints each loss to the last bit."""

import atexit
import os
import sys

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard


def main() -> None:
    rank = int(os.environ["RANK"])
    dist.init_process_group("gloo")
    torch.manual_seed(7)
    ddp = nn.parallel.DistributedDataParallel(model())
    train("ddp", ddp, torch.optim.SGD(ddp.parameters(), lr=0.1), rank)
    torch.save(ddp.module.state_dict(), f"{sys.argv[1]}/{rank}.pt")
    sharded = model()
    fully_shard(sharded, mesh=init_device_mesh("cpu", (2,)))
    train("fsdp", sharded, torch.optim.AdamW(sharded.parameters(), lr=0.01), rank)
    for use_orig_params in (False, True):
        older = FullyShardedDataParallel(
            model(), device_id=torch.device("cpu"), use_orig_params=use_orig_params
        )
        train("fsdp1", older, torch.optim.SGD(older.parameters(), lr=0.1), rank)
    dist.destroy_process_group()
    print("random", torch.rand(1).item().hex(), end="")  # a line without an end


def model() -> nn.Module:
    return nn.Sequential(nn.Linear(8, 16), nn.Dropout(0.1), nn.ReLU(), nn.Linear(16, 4))


def train(name: str, net: nn.Module, optimizer: torch.optim.Optimizer, rank: int) -> None:
    for _ in range(6):
        batch = torch.randn(2, 4, 8)[rank]
        loss = net(batch).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(name, loss.item().hex())


main()
# A thread of gloo that lets go of a tensor while the interpreter is taken down aborts the process
# (PyTorch's pull request 179291 has the story): end as an interpreter does, all but that.
atexit._run_exitfuncs()
sys.stdout.flush()
os._exit(0)
