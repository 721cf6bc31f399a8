"""Hugging Face's Trainer, which uses Accelerate, on a model of a few numbers."""

import atexit
import os
import sys

import torch
from torch import nn
from transformers import Trainer, TrainingArguments


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 1)

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"loss": (self.linear(x).squeeze(-1) - labels).square().mean()}


data = [{"x": torch.randn(4), "labels": torch.tensor(1.0)} for _ in range(64)]
arguments = TrainingArguments(
    sys.argv[1],
    max_steps=10,
    per_device_train_batch_size=2,
    gradient_accumulation_steps=2,
    save_steps=10,
    use_cpu=True,
    report_to=[],
    disable_tqdm=True,
    logging_strategy="no",
)
Trainer(Model(), arguments, train_dataset=data).train()
# See train_ddp_fsdp.py: torch's threads may abort an interpreter that is taken down under them.
atexit._run_exitfuncs()
sys.stdout.flush()
os._exit(0)
