"""Who reports: this process, the run and rank that it belongs to, and whether it speaks.

One interpreter has one reporter. A process that merely helps one which has reported
already (pip, a DataLoader's worker) stays silent until it joins a process group itself.
"""

from __future__ import annotations

import os
import time
from _thread import get_ident

from .channel import ENV_CHANNEL, Channel
from .encoding import frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any, Callable

ENV_RUN_ID = "ORCHESTRATE_RUN_ID"
ENV_SPOKEN_FOR = "ORCHESTRATE_PROBE_SPOKEN_FOR"
"""What names the rank that a process above this one reports for; see `_place`."""

MAX_RANK = 10_000_000

_reporter: Reporter | None = None


class Reporter:
    """Sends records of this process.

    Attributes:
        rank: as its group says, or until then its environment.
        speaks: False in a helper of a process that reports; it sends nothing.
        torch: versions, once it is imported.
        num_steps: training steps that were counted.
        progressed_s: when an optimizer stepped last, by `time.perf_counter`.
        joined_s: when the process group was there, by the same clock.
        gpu: what it was last said to use.
        flush: counts and sends the steps that are held back.
        look: is to be called now and then with the time, for steps that no other one follows.
        watch: begins to look out for stalls; may be called more than once.
        on_threading: is to be told of the module once it is loaded.
        on_next: is called once, with the next record.
    """

    def __init__(self, run_id: str, channel: Channel) -> None:
        self.run_id = run_id
        self.channel = channel
        self.pid = os.getpid()
        self.main_thread = get_ident()
        self.rank = rank_of(os.environ.get("RANK", ""))
        self.speaks = os.environ.get(ENV_SPOKEN_FOR) != _place()
        self.torch: dict[str, str] = {}
        self.num_steps = 0
        self.progressed_s = 0.0
        self.joined_s = 0.0
        self.gpu: str | None = None
        self.flush: Callable[[float], None] | None = None
        self.look: Callable[[float], None] = _ignore
        self.watch: Callable[[], None] | None = None
        self.on_threading: Callable[[ModuleType], None] | None = None
        self.on_next: Callable[[], None] | None = None
        self._num_dropped = 0
        self._faults: set[str] = set()
        if self.speaks:
            os.environ[ENV_SPOKEN_FOR] = _place()

    def send(self, event: str, **fields: Any) -> None:
        """Send one record, if this process speaks at all."""
        if not self.speaks:
            return
        if self.on_next is not None:
            on_next, self.on_next = self.on_next, None
            on_next()
        if event != "step":
            self.catch_up()
        if self.channel.num_dropped > self._num_dropped:
            self._num_dropped = self.channel.num_dropped
            self._write("probe_fault", where="channel", error=f"{self._num_dropped} records lost")
        self._write(event, **fields)

    def catch_up(self, wait_s: float = 0.0) -> None:
        """Count and send what is held back."""
        if self.flush is not None:
            self.flush(wait_s)

    def _write(self, event: str, **fields: Any) -> None:
        head = {
            "event": event,
            "source": "probe",
            "run_id": self.run_id,
            "pid": self.pid,
            "rank": self.rank,
            "at_s": time.time(),
        }
        self.channel.write(frame({**head, **fields}))

    def report_fault(self, where: str, error: BaseException) -> None:
        """Say that the probe failed at something, once for each place."""
        if where not in self._faults:
            self._faults.add(where)
            self.send("probe_fault", where=where, error=f"{type(error).__name__}: {error}"[:1000])

    def speak_up(self) -> None:
        """Report from now on: this process is no helper, it joins a group. Catch up first."""
        if not self.speaks:
            from . import interpreter

            self.speaks = True
            interpreter.report(self)
            self.send("torch_imported", **self.torch)
        if self.watch is not None:
            self.watch()

    def become_child(self) -> None:
        """In a forked child: it is a helper, as far as one knows."""
        self.pid = os.getpid()
        self.main_thread = get_ident()
        self.speaks = False
        self.num_steps = 0
        self.progressed_s = self.joined_s = 0.0
        self._faults = set()
        self.channel.forget()


def begin() -> Reporter | None:
    """Make this interpreter's reporter; None where nobody listens, as outside of a node."""
    global _reporter  # noqa: PLW0603  (one interpreter, one reporter)
    run_id = os.environ.get(ENV_RUN_ID, "")
    if run_id and _reporter is None:
        _reporter = Reporter(run_id, Channel(os.environ.get(ENV_CHANNEL, "")))
        os.register_at_fork(after_in_child=_reporter.become_child)
    return _reporter


def _ignore(_now_s: float) -> None:
    """What there is to do about steps before there are optimizers."""


def report_fault(where: str, error: BaseException) -> None:
    """Report what went wrong in the probe. Never raises."""
    try:
        if _reporter is not None:
            _reporter.report_fault(where, error)
    except Exception:  # noqa: BLE001, S110  (there is nobody left to tell)
        pass


def _place() -> str:
    """Which rank this process is by its environment.

    torchrun runs with no rank or its node's, and gives its children ranks of their own; the
    run id of its own making tells them from it where the number is the same.
    """
    return "/".join(
        os.environ.get(name, "") for name in ("RANK", "LOCAL_RANK", "TORCHELASTIC_RUN_ID")
    )


def rank_of(text: str) -> int | None:
    """Read a rank or a number of ranks; None for what is none."""
    return int(text) if text.isdigit() and len(text) < 8 and int(text) < MAX_RANK else None
