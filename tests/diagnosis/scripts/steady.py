"""Trains until it is stopped: for what is done to it from outside."""

import time

import job


def before_step(step: int) -> None:
    """Take a moment, as a step does."""
    time.sleep(0.1)


job.train(steps=100_000, before_step=before_step)
