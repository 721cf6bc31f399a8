"""SIGTERM and SIGINT: finish the step and save while training, leave at once before that."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

from structlog.typing import FilteringBoundLogger

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopRequest:
    """What the signals of this process asked for. One instance per process, made first of all."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        self._log = log
        self._deferred = False
        self._signal: signal.Signals | None = None

    @property
    def pending(self) -> signal.Signals | None:
        """The signal that came since `defer`, None if none did."""
        return self._signal

    def watch(self) -> None:
        """Take both signals in a thread of their own.

        A Python handler would wait for the main thread to come back from C++, which is up to the
        whole timeout in a rendezvous whose peers are missing; and as process 1 of a container the
        default action is not taken at all. The mask must stand before torch starts its threads,
        because they inherit it.
        """
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        threading.Thread(target=self._wait, name="signals", daemon=True).start()

    def defer(self) -> None:
        """From now on a first signal only sets `pending`: there are steps worth saving."""
        self._deferred = True

    def _wait(self) -> None:
        while True:
            received = signal.Signals(signal.sigwait(_SIGNALS))
            if self._signal is not None or not self._deferred:
                log_interruption(self._log, received)
                os._exit(exit_code(received))
            self._signal = received
            # A step that waits for a lost peer may never end: this may be the last word.
            self._log.warning("stop_requested", signal=received.name)


def log_interruption(
    log: FilteringBoundLogger,
    received: signal.Signals,
    *,
    step: int | None = None,
    path: Path | None = None,
    reason: str = "",
) -> None:
    """Write `training_interrupted`; step and path are null where nothing was trained or saved."""
    log.warning(
        "training_interrupted",
        signal=received.name,
        step=step,
        path=None if path is None else str(path),
        reason=reason,
    )


def exit_code(received: signal.Signals) -> int:
    """128 plus the signal's number, as shells have it: never 0, the job is not complete."""
    return 128 + received.value
