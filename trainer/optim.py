"""AdamW, the learning rate of a step, and clipping by the norm over all ranks."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from trainer.config import OptimConfig
from trainer.parallel import local_gradients


def make_optimizer(model: nn.Module, config: OptimConfig) -> Optimizer:
    """AdamW over all parameters; weight decay on matrices, not on norms and biases."""
    parameters = list(model.parameters())
    return AdamW(
        [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ],
        lr=config.learning_rate,
        betas=(0.9, 0.95),
    )


def learning_rate(step: int, max_steps: int, config: OptimConfig) -> float:
    """The rate of a step, counted from 1: a pure function, so the step is all there is to save.

    Linear from 0 to the peak at the last warm-up step, then down to min_lr_ratio of it at
    max_steps.
    """
    if step <= config.warmup_steps:
        return config.learning_rate * step / config.warmup_steps
    done = (step - config.warmup_steps) / max(1, max_steps - config.warmup_steps)
    match config.decay:
        case "cosine":
            left = 0.5 * (1 + math.cos(math.pi * done))
        case "linear":
            left = 1 - done
        case _:
            return config.learning_rate
    return config.learning_rate * (config.min_lr_ratio + (1 - config.min_lr_ratio) * left)


def set_learning_rate(optimizer: Optimizer, rate: float) -> None:
    """Give every parameter group this rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def squared_norm(model: nn.Module) -> Tensor:
    """Sum of the squares of the gradients that this rank holds: a float64 scalar."""
    squares = [gradient.float().square().sum().double() for gradient in local_gradients(model)]
    return torch.stack(squares).sum()


def clip(model: nn.Module, norm: float, max_norm: float) -> None:
    """Scale gradients so that their norm, `norm` now, is at most max_norm; 0 means never.

    torch's own clip_grad_norm_ would reduce the norm again, and through a DTensor.
    """
    if max_norm and norm > max_norm:
        for gradient in local_gradients(model):
            gradient.mul_(max_norm / norm)
