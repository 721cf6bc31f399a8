"""Nodes as process groups of this machine, embedded. `engine.py` is the one way in."""
