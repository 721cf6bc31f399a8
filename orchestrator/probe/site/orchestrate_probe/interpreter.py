"""interpreter_started."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .reporting import Reporter

MAX_ARGUMENTS = 16
MAX_CHARS = 200


def report(reporter: Reporter) -> None:
    """Report which Python this is, on which host, and what it was asked to run."""
    reporter.send(
        "interpreter_started",
        python=".".join(str(part) for part in sys.version_info[:3]),
        hostname=os.uname().nodename[:MAX_CHARS],
        argv=[each[:MAX_CHARS] for each in _arguments()[:MAX_ARGUMENTS]],
    )


def _arguments() -> list[str]:
    """What follows `python` on the command line; sys.argv is not there yet at the start."""
    return [*getattr(sys, "orig_argv", ())[1:]] or [*getattr(sys, "argv", ())]
