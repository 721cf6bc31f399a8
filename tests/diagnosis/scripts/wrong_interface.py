"""Node 1 is told of a network interface that it does not have."""

import os

import job

if job.NODE == 1:
    os.environ["GLOO_SOCKET_IFNAME"] = "ib0"
job.train()
