"""Simulate multi-node PyTorch training on one machine, from a playbook, with proof."""

__version__ = "0.1.0"
