"""Node 1 finds nothing to do and leaves before the group is formed."""

import sys

import job

if job.NODE == 1:
    print("no shard for me, leaving", flush=True)
    sys.exit(0)
job.train()
