"""Reports how a training process is doing, from inside, to whoever started its node.

Importing this starts nothing; `start` does. At the start of an interpreter it uses only
modules that are built into Python or loaded by then: one of the standard library that it
imported would hide a script's own module of the same name. From `import torch` on, which
loads most of the standard library, it may use what torch has loaded.
"""

from __future__ import annotations

from . import reporting
from .guarding import guarded


def start() -> None:
    """Report this interpreter, and watch for torch. Never raises."""
    reporter = reporting.begin()
    if reporter is not None:
        _start(reporter)


@guarded("start")
def _start(reporter: reporting.Reporter) -> None:
    from . import ending, imports, interpreter, native, targets

    interpreter.report(reporter)
    ending.watch(reporter)
    imports.watch(targets.hooks(reporter, native.begin(reporter)))
