"""Every node takes its own loopback for the master's address, as single-node scripts do."""

import os

import job

os.environ["MASTER_ADDR"] = "localhost"
job.train()
