"""Judging a run: what the nodes said, and which of the declared checks hold. Pure."""
