"""Causal-LM fine-tuning of Qwen2 and Qwen3 over FSDP2 or DDP, one JSON record a line.

Run it as `python -m trainer`, under `torchrun -m trainer`, or in the nodes of a playbook.
"""
