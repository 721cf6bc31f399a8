"""Work for the engine in threads: side by side, and to its end although somebody interrupts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from threading import Event, Thread

from orchestrator.state.spec import NodeSpec

PARALLEL = 8
"""Containers worked on at once: the daemon is the limit, more workers do not help."""


def to_its_end(work: Callable[[], None]) -> None:
    """Do `work` in a thread whose end an interrupt waits for: what it makes can be told of.

    The gate is there because an interrupt may also come while the thread is being started.
    """
    may_begin, done = Event(), Future[None]()

    def run() -> None:
        may_begin.wait()
        with suppress(BaseException):  # `done` has it
            settle(done, work)

    Thread(target=run, name="change", daemon=True).start()
    try:
        may_begin.set()
        done.result()
    finally:
        if may_begin.is_set():
            wait([done])


def settle(promise: Future[None], work: Callable[[], None]) -> None:
    """Do `work`, and let those who wait for it know that it is done, or why it is not."""
    try:
        work()
    except BaseException as exc:
        promise.set_exception(exc)
        raise
    promise.set_result(None)


def in_parallel(work: Callable[[NodeSpec], None], nodes: Sequence[NodeSpec]) -> None:
    """Do `work` for every node, PARALLEL at a time; after the first error start no more."""
    with ThreadPoolExecutor(PARALLEL) as pool:
        futures = [pool.submit(work, node) for node in nodes]
        try:
            for future in futures:
                future.result()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
