"""Something in node 0, such as a dashboard, listens on MASTER_PORT already."""

import os
import socket

import job

if job.NODE == 0:
    dashboard = socket.socket()
    dashboard.bind(("", int(os.environ["MASTER_PORT"])))
    dashboard.listen()
job.train()
