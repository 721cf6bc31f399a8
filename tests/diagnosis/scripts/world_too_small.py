"""Node 0 takes itself for the only rank."""

import os
import time

import job


def before_step(step: int) -> None:
    """Take a moment, as a step does."""
    time.sleep(0.5)


if job.NODE == 0:
    os.environ["WORLD_SIZE"] = "1"
job.train(steps=1000, before_step=before_step)
