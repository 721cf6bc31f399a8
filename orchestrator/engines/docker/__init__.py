"""Nodes as containers. `engine.py` is the one way in; `client.py` alone knows python-on-whales."""
