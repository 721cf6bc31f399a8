"""Node 1 waits for something before it joins, and never comes."""

import threading

import job

if job.NODE == 1:
    threading.Event().wait()  # "until the data is there"
job.train()
