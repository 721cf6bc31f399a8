"""Of the two ranks that torchrun runs in node 1, something kills the second."""

import os
import signal

import job


def before_step(step: int) -> None:
    """Die."""
    if job.NODE == 1 and os.environ["LOCAL_RANK"] == "1" and step == 4:
        os.kill(os.getpid(), signal.SIGKILL)


job.train(before_step=before_step)
