"""Node 1 keeps everything it has ever read."""

import job

kept = []


def before_step(step: int) -> None:
    """Read more than the node may have."""
    if job.NODE == 1 and step == 4:
        while True:
            kept.append(b"x" * 2**24)


job.train(before_step=before_step)
