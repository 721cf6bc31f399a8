"""The program that starts nodes of the embedded engine and stays with each of them.

It runs as `python -I -S supervisor.py`, imports the standard library alone (a
quick start: no site-packages) and takes its orders on standard input:

    [{"folder": "/…/node-0", "command": ["sh", "-c", "…"], "env": {…}, "workdir": "/…",
      "channel": "NAME"}, …]

For each order it forks a supervisor with a session of its own, so that neither the end
of the orchestrator nor a terminal's hang-up or Ctrl-C reaches it, and answers with one
line on standard output: `{"folder": "/…/node-0", "complaint": ""}`. After the first
complaint it starts no more.

A supervisor holds the folder's lock for as long as it lives. It runs the node's command
in another session, appends the merged output to the log together with the time at which
each chunk came, and at last writes how the command ended. It takes two signals:
STOP_SIGNAL asks the node to end, KILL_SIGNAL makes it. Where `channel` names a variable, the
node finds in it a path that leads to its log, whatever becomes of its own output.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import selectors
import signal
import struct
import sys
import time
from typing import Any, NoReturn

NODE_FILE = "node.json"  # what the node is, written by the engine
LOCK_FILE = "lock"  # held by the supervisor while it lives; holds its process id
PROCESS_FILE = "process.json"  # {"pid", "start_ticks", "started_at_s"} of the command
LOG_FILE = "output.log"  # stdout and stderr as they came, byte for byte
INDEX_FILE = "output.index"  # INDEX_ENTRY after INDEX_ENTRY
EXIT_FILE = "exit.json"  # {"exit_code", "finished_at_s", "error"}
STDERR_FILE = "supervisor.err"  # the supervisor's own last words; empty unless it has a bug

INDEX_ENTRY = struct.Struct("<Qd")
"""Length of the log once a chunk was appended, and when that was, seconds since the epoch."""

STOP_SIGNAL = signal.SIGTERM
KILL_SIGNAL = signal.SIGUSR2

CHUNK_BYTES = 64 * 1024
LOCK_DEADLINE_S = 5.0
KILL_DEADLINE_S = 5.0

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_EXIT_RECORD_BYTES = 1024


def main() -> None:
    """Start a supervisor for each order; in each supervisor, stay until its node has ended."""
    orders = json.load(sys.stdin)
    for order in orders:
        answer, supervisor_answer = os.pipe()
        if os.fork() == 0:
            os.close(answer)
            supervise(order, supervisor_answer)
            return
        os.close(supervisor_answer)
        with open(answer, encoding="utf-8", errors="replace") as stream:
            said = stream.read()
        complaint = "" if said == "started" else said or "its supervisor died"
        _report(order["folder"], complaint)
        if complaint:
            return


def _report(folder: str, complaint: str) -> None:
    line = json.dumps({"folder": folder, "complaint": complaint})
    # Unbuffered: a forked supervisor must not inherit, and later repeat, a buffered line.
    os.write(1, line.encode() + b"\n")


def supervise(order: dict[str, Any], answer: int) -> None:
    """Run one node to its end; `answer` is told "started" or what went wrong."""
    os.setsid()
    _detach(order["folder"])
    wake = _catch_signals()
    lock = _take_lock()
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)  # what the node leaves behind becomes our child
    started_at_s = time.time()
    _reserve_exit_record()
    pid, output, complaint = _start(order)
    if not complaint:
        _write_json(PROCESS_FILE, _process_record(pid, started_at_s))
    os.write(answer, (complaint or "started").encode())
    os.close(answer)
    _Watch(pid, output, wake).run(complaint)
    os.close(lock)


def _detach(folder: str) -> None:
    """Let go of the terminal and of the launcher's pipes; work inside the node's folder."""
    os.chdir(folder)
    null = os.open(os.devnull, os.O_RDWR)
    own_words = os.open(STDERR_FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for target, source in enumerate((null, null, own_words)):
        os.dup2(source, target)
    os.close(null)
    os.close(own_words)


def _catch_signals() -> int:
    """From here on each signal arrives as one byte in the returned pipe."""
    wake, signal_end = os.pipe()
    os.set_blocking(wake, False)
    os.set_blocking(signal_end, False)
    signal.set_wakeup_fd(signal_end, warn_on_full_buffer=False)
    for number in (STOP_SIGNAL, KILL_SIGNAL, signal.SIGCHLD):
        signal.signal(number, lambda _number, _frame: None)
    return wake


def _take_lock() -> int:
    """Take the lock and leave our process id in it. An observer may hold it for a moment."""
    lock = os.open(LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    give_up_at = time.monotonic() + LOCK_DEADLINE_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() > give_up_at:
                raise
            time.sleep(0.001)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return lock


def _start(order: dict[str, Any]) -> tuple[int, int, str]:
    """Fork the node's command: its process id, the pipe of its output, and any complaint."""
    output, node_output = os.pipe()
    failure, node_failure = os.pipe()
    supervisor = os.getpid()
    pid = os.fork()
    if pid == 0:
        _become_node(order, node_output, node_failure, supervisor)
    # `node_output` stays open: a node that redirects all its output may still use its channel.
    os.close(node_failure)
    # The pipe closes by itself when the command is executed.
    with open(failure, encoding="utf-8", errors="replace") as stream:
        return pid, output, stream.read()


def _become_node(order: dict[str, Any], output: int, failure: int, supervisor: int) -> NoReturn:
    command: list[str] = order["command"]
    if order["channel"]:
        order["env"][order["channel"]] = f"/proc/{supervisor}/fd/{output}"
    try:
        os.setsid()
        _die_with(supervisor)
        os.chdir(order["workdir"])
        os.dup2(output, 1)
        os.dup2(1, 2)
        # Ignored signals stay ignored across exec, and Python ignores SIGPIPE.
        for number in ("SIGHUP", "SIGINT", "SIGQUIT", "SIGPIPE", "SIGTERM", "SIGXFSZ"):
            signal.signal(getattr(signal, number), signal.SIG_DFL)
        os.execvpe(command[0], command, order["env"])  # noqa: S606  (an argv, no shell)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        os.write(failure, f"cannot run {command[0]} in {order['workdir']}: {why}".encode())
        os._exit(127)


def _die_with(supervisor: int) -> None:
    """Linux: when the supervisor is killed the kernel kills the node as well."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != supervisor:  # it died before we could say so
        os._exit(137)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        import ctypes  # whoever imports this module for its names has no use for it

        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


class _Watch:
    """Records the output of one running command, passes signals on, and sees it end."""

    def __init__(self, pid: int, output: int, wake: int) -> None:
        self._pid = pid
        self._output = output
        self._wake = wake
        self._log = _Recorder()
        self._exit_code: int | None = None
        self._selector = selectors.DefaultSelector()
        self._selector.register(output, selectors.EVENT_READ, self._record_chunk)
        self._selector.register(wake, selectors.EVENT_READ, self._obey)

    def run(self, complaint: str) -> None:
        """Stay until the command and all it left behind have ended; then say how it ended."""
        while self._reap() and self._exit_code is None:
            # No timeout: this wait is as long as the node's life.
            for key, _ in self._selector.select():
                key.data()
        self._kill_rest()
        self._drain()
        _write_exit(self._exit_code, complaint or self._log.complaint)

    def _record_chunk(self) -> None:
        self._log.append(os.read(self._output, CHUNK_BYTES))

    def _obey(self) -> None:
        for number in os.read(self._wake, 512):
            if number == STOP_SIGNAL:
                self._signal_group(signal.SIGTERM)
                # A stopped process takes the signal once it goes on.
                self._signal_group(signal.SIGCONT)
            elif number == KILL_SIGNAL:
                self._signal_group(signal.SIGKILL)

    def _signal_group(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._pid, number)

    def _reap(self) -> bool:
        """Collect ended children, note the command's own exit; False when there are no more."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self._pid:
                code = os.waitstatus_to_exitcode(status)
                self._exit_code = code if code >= 0 else 128 - code

    def _kill_rest(self) -> None:
        """End what the command left behind, in sessions of its own too (Linux)."""
        self._signal_group(signal.SIGKILL)
        give_up_at = time.monotonic() + KILL_DEADLINE_S
        while self._reap() and time.monotonic() < give_up_at:
            # Each death may hand us grandchildren, so look again until none is left.
            for pid in _children():
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.002)

    def _drain(self) -> None:
        """Record what is still in the pipe. All writers are dead, so it is all there is."""
        os.set_blocking(self._output, False)
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(self._output, CHUNK_BYTES):
                self._log.append(chunk)


class _Recorder:
    """The node's log and the times of its chunks. `complaint` says if and where it was cut."""

    def __init__(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._log = os.open(LOG_FILE, flags, 0o600)
        self._index = os.open(INDEX_FILE, flags, 0o600)
        self._num_bytes = 0
        self.complaint = ""

    def append(self, chunk: bytes) -> None:
        """Log first, then index: a reader believes the index only as far as the log goes."""
        if self.complaint:
            return  # keep draining: a full disk must not also hang the node
        at_s = time.time()
        try:
            self._write(chunk)
            os.write(self._index, INDEX_ENTRY.pack(self._num_bytes, at_s))
        except OSError as error:
            self.complaint = f"log cut off at byte {self._num_bytes}: {error.strerror}"

    def _write(self, chunk: bytes) -> None:
        while chunk:
            num_written = os.write(self._log, chunk)
            self._num_bytes += num_written
            chunk = chunk[num_written:]


def _children() -> list[int]:
    """Process ids of our own children, from /proc; none where there is no /proc."""
    own = os.getpid()
    if not os.path.isdir("/proc/self"):
        return []
    return [int(name) for name in os.listdir("/proc") if name.isdecimal() and _parent(name) == own]


def _parent(pid: str) -> int:
    return int((stat_fields(pid) or ["", "0"])[1])


def stat_fields(pid: int | str) -> list[str] | None:
    """The fields of /proc/PID/stat from the state on: 0 state, 1 parent, 19 start time.

    None when there is no such process, or no /proc.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read().decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name in parentheses may hold spaces and parentheses of its own.
    return text.rpartition(")")[2].split()


def start_ticks(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; with its id it is unique."""
    fields = stat_fields(pid)
    return int(fields[19]) if fields else None


def _process_record(pid: int, started_at_s: float) -> dict[str, Any]:
    return {"pid": pid, "start_ticks": start_ticks(pid), "started_at_s": started_at_s}


def _write_json(name: str, content: dict[str, Any]) -> None:
    """Write a file in one step: it is there as a whole or not at all."""
    part = name + ".part"
    with open(part, "w", encoding="utf-8") as file:
        json.dump(content, file)
    os.replace(part, name)


def _reserve_exit_record() -> None:
    """Claim the exit record's disk space now: it must be written on a disk that became full."""
    with open(EXIT_FILE + ".part", "wb") as file:
        file.write(b" " * _EXIT_RECORD_BYTES)


def _write_exit(exit_code: int | None, error: str) -> None:
    record = {"exit_code": exit_code, "finished_at_s": time.time(), "error": error[:500]}
    with open(EXIT_FILE + ".part", "r+b") as file:
        file.write(json.dumps(record).encode())
        file.truncate()
    os.replace(EXIT_FILE + ".part", EXIT_FILE)


if __name__ == "__main__":
    main()
