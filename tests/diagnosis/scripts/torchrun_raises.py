"""Of the two ranks that torchrun runs in node 1, the second meets a bad sample."""

import os

import job


def before_step(step: int) -> None:
    """Read a sample."""
    if job.NODE == 1 and os.environ["LOCAL_RANK"] == "1" and step == 4:
        raise ValueError("sample 1337 has 3 fields, expected 2")


job.train(before_step=before_step)
