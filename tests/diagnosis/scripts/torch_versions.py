"""Node 1 has another torch, whose collective of the fourth step is another one.

Two torches in one image cannot be had here: node 1's says at its import that it is another
one, and node 1 does what another version may do.
"""

import os
import sys
import types

if os.environ["NODE_RANK"] == "1":
    version = types.ModuleType("torch.version")
    version.__dict__.update(
        __version__="2.9.1+cpu", debug=False, cuda=None, git_version="", hip=None, xpu=None
    )
    sys.modules["torch.version"] = version

import torch  # noqa: I001  (after the lines above)
import torch.distributed as dist

import job


def before_step(step: int) -> None:
    """Gather numbers."""
    if step == 4:
        dist.all_reduce(torch.ones(2 if job.NODE == 0 else 3))


job.train(before_step=before_step)
