"""Where the embedded engine's folders are: all that is needed to see that there are none."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

ENV_ROOT = "ORCHESTRATE_LOCAL_ROOT"


def default_root(environ: Mapping[str, str]) -> Path:
    """Where nodes live unless told otherwise: ENV_ROOT, else under the user's state folder."""
    if root := environ.get(ENV_ROOT):
        return Path(root).absolute()
    state = environ.get("XDG_STATE_HOME", "")
    # The XDG specification has relative paths ignored.
    base = Path(state) if os.path.isabs(state) else Path.home() / ".local" / "state"
    return base / "orchestrate" / "local"
