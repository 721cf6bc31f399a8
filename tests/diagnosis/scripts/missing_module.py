"""The image lacks a package that the script needs."""

import flash_attn_missing  # noqa: F401
import job

job.train()
