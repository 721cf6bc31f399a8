"""Node 1 starts from a clean environment, in which RANK is not set."""

import os

import job

if job.NODE == 1:
    del os.environ["RANK"]
job.train()
