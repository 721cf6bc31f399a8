"""Node 1 overrides MASTER_ADDR with a name that no resolver knows."""

import os

import job

if job.NODE == 1:
    os.environ["MASTER_ADDR"] = "trainer-0.example.invalid"
job.train()
