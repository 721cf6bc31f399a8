"""The script wants NCCL where there is no GPU."""

import job

job.join("nccl")
