"""Whether a node of the embedded engine lives, and how to end it.

A node lives while its supervisor holds the lock in its folder. The kernel frees a lock
when its holder dies, however it dies, and no process id is believed without it: ids are
used again.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from orchestrator.engines.local.record import ProcessRecord, read_process
from orchestrator.engines.local.supervisor import (
    KILL_SIGNAL,
    LOCK_FILE,
    STOP_SIGNAL,
    start_ticks,
    stat_fields,
)

ENV_NODE_FOLDER = "ORCHESTRATE_LOCAL_NODE"
"""Set in every process of a node: by it they are found when their supervisor was killed."""

_POLL_S = 0.005
_KILL_DEADLINE_S = 10.0
_LOCK_WRITTEN_DEADLINE_S = 1.0


def is_live(folder: Path) -> bool:
    """True while a supervisor holds the folder's lock."""
    try:
        lock = os.open(folder / LOCK_FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)  # gives up what the probe took
    return False


def is_stopped(pid: int) -> bool:
    """True when the process is stopped by a signal (state T); False where there is no /proc."""
    fields = stat_fields(pid)
    return fields is not None and fields[0] == "T"


def thaw(folder: Path) -> None:
    """Let a node's processes go on that were stopped by a signal."""
    main = read_process(folder)
    if isinstance(main, ProcessRecord) and _is_same_process(main):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(main.pid, signal.SIGCONT)


def stop(folders: Sequence[Path], *, grace_s: float) -> None:
    """Ask all nodes to end at once; kill those that still live after `grace_s` seconds."""
    _signal_supervisors(folders, STOP_SIGNAL)
    kill(_wait_until_dead(folders, within_s=grace_s))


def kill(folders: Sequence[Path]) -> None:
    """End all nodes now, with everything they started, supervised or not."""
    _signal_supervisors(folders, KILL_SIGNAL)
    for folder in _wait_until_dead(folders, within_s=_KILL_DEADLINE_S / 2):
        # It is stopped itself, or hangs. Its death kills the node (see supervisor).
        _signal_supervisors([folder], signal.SIGKILL)
    _wait_until_dead(folders, within_s=_KILL_DEADLINE_S / 2)
    _kill_unsupervised(folders)


def _signal_supervisors(folders: Iterable[Path], number: int) -> None:
    for folder in folders:
        pid = _supervisor_pid(folder)
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


def _supervisor_pid(folder: Path) -> int | None:
    """The process that holds the lock; None when none does."""
    give_up_at = time.monotonic() + _LOCK_WRITTEN_DEADLINE_S
    while is_live(folder):
        text = (folder / LOCK_FILE).read_text(encoding="ascii", errors="replace").strip()
        if text.isdecimal():
            return int(text)
        if time.monotonic() > give_up_at:
            return None  # someone else's lock: not a supervisor
        time.sleep(_POLL_S)  # it has the lock and is about to write its id
    return None


def _wait_until_dead(folders: Sequence[Path], *, within_s: float) -> list[Path]:
    """Wait for all; return those that still live when the time is up."""
    give_up_at = time.monotonic() + within_s
    living = [folder for folder in folders if is_live(folder)]
    while living and time.monotonic() < give_up_at:
        time.sleep(_POLL_S)
        living = [folder for folder in living if is_live(folder)]
    return living


def _kill_unsupervised(folders: Sequence[Path]) -> None:
    """End what outlived a supervisor that was killed: by its recorded id, and by its mark."""
    for folder in folders:
        main = read_process(folder)
        if isinstance(main, ProcessRecord) and _is_same_process(main):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(main.pid, signal.SIGKILL)
    give_up_at = time.monotonic() + _KILL_DEADLINE_S
    while (marked := _marked_processes(folders)) and time.monotonic() < give_up_at:
        for pid in marked:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_POLL_S)


def _is_same_process(main: ProcessRecord) -> bool:
    return main.start_ticks is not None and start_ticks(main.pid) == main.start_ticks


def _marked_processes(folders: Sequence[Path]) -> list[int]:
    """Living processes whose environment says that they belong to one of the nodes (Linux)."""
    if not os.path.isdir("/proc/self"):
        return []
    marks = {f"{ENV_NODE_FOLDER}={folder}".encode() for folder in folders}
    pids = [int(name) for name in os.listdir("/proc") if name.isdecimal()]
    return [pid for pid in pids if not marks.isdisjoint(_environment(pid))]


def _environment(pid: int) -> list[bytes]:
    """The environment a process was started with; a zombie's and a stranger's are empty."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return file.read().split(b"\0")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return []
