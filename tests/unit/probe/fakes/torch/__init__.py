"""Stands in for torch: the names that the probe takes hold of, where torch has them."""

import threading

import torch.distributed
from torch import optim, version
from torch.serialization import save

__version__ = "9.9.0+fake"


class _C:
    @staticmethod
    def _nccl_version():
        return (2 << 32) + (30 << 16) + 7


class cuda:
    @staticmethod
    def is_initialized():
        return False
