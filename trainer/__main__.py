"""`python -m trainer`: parse, join the process group, train, leave."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
from contextlib import suppress
from typing import NoReturn

from structlog.typing import FilteringBoundLogger

from trainer.config import Config, parse_config
from trainer.errors import TrainerError
from trainer.log import divert_stdout, log_failure, open_log, reason_of
from trainer.signals import StopRequest, exit_code, log_interruption


def main() -> NoReturn:
    """Run to the end and exit: 0 finished, 1 failed, 2 wrong usage, 128 + n on signal n."""
    log = open_log(os.environ)
    stop = StopRequest(log)
    stop.watch()
    faulthandler.register(signal.SIGUSR2, all_threads=True)  # stacks of a hung rank, on stderr
    try:
        config = parse_config(sys.argv[1:], os.environ)
        divert_stdout()
        code = _run(config, log, stop)
    except Exception as exc:  # noqa: BLE001 - the last frame: whatever it is becomes a record
        _fail(exc, log, stop)
    _leave_at_once(code)


def _fail(exc: Exception, log: FilteringBoundLogger, stop: StopRequest) -> NoReturn:
    """Write why, and leave. Peers that leave first are no failure of a rank that was to stop."""
    received = None if isinstance(exc, TrainerError) else stop.pending
    try:
        if received is None:
            log_failure(log, exc)
        else:
            log_interruption(log, received, reason=reason_of(exc))
    finally:  # even where standard output is gone
        code = exc.exit_code if isinstance(exc, TrainerError) else 1
        _leave_at_once(code if received is None else exit_code(received))


def _run(config: Config, log: FilteringBoundLogger, stop: StopRequest) -> int:
    # torch and transformers take seconds to import: after bad usage was refused, so that it is
    # refused quickly, and inside the try, so that a broken installation is a record as well.
    # Joining before transformers is imported lets the ranks find each other during that wait.
    from trainer.group import join, leave

    rank = join(config.group, os.environ, log)
    from trainer.train import train

    code = train(config, rank, log, stop)
    leave()
    return code


def _leave_at_once(code: int) -> NoReturn:
    """Exit without the interpreter's shutdown.

    After a failure, the process group's destructor and torch's threads can wait for peers that
    are themselves waiting for this rank. After a good end nothing is left to do either, but
    torch's C++ threads, torn down while they run, once in a long while end the process with
    "terminate called without an active exception": a job that did all it should would count
    as killed. The records are flushed line by line, so only the streams are left.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # its reader may be gone
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
