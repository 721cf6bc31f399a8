"""Node 1 never gets out of a loop of its own."""

import job


def before_step(step: int) -> None:
    """Look for a sample that there is not."""
    while job.NODE == 1 and step == 4:
        pass


job.train(before_step=before_step)
