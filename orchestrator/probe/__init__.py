"""The probe: what runs inside a node next to the user's script, and how an engine places it.

`site/` is mounted into a node and put first on its PYTHONPATH. It runs in the user's own
interpreter: standard library only, Python 3.8 or newer, and it imports nothing of the rest.
docs/probe.md says what it sees and what it never does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

SITE: Final = Path(__file__).resolve().parent / "site"
"""The folder on this machine that holds the probe, and nothing else."""

MOUNT: Final = "/opt/orchestrate/probe"
"""Where a container finds that folder."""

ENV_CHANNEL: Final = "ORCHESTRATE_PROBE_CHANNEL"
ENV_JOIN_S: Final = "ORCHESTRATE_PROBE_JOIN_S"
ENV_HANG_S: Final = "ORCHESTRATE_PROBE_HANG_S"
ENV_CHECKSUM: Final = "ORCHESTRATE_PROBE_CHECKSUM"
