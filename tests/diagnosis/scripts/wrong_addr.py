"""Node 1 overrides MASTER_ADDR with an address where nobody is."""

import os

import job

if job.NODE == 1:
    os.environ["MASTER_ADDR"] = "10.255.255.1"
job.train()
