"""Node 1 meets a bad sample at its fourth step."""

import job


def before_step(step: int) -> None:
    """Read a sample."""
    if job.NODE == 1 and step == 4:
        raise ValueError("sample 1337 has 3 fields, expected 2")


job.train(before_step=before_step)
