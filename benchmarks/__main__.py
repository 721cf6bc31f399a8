"""`python -m benchmarks`: measure, write the document, leave nothing behind.

All objects on the engine are named bench-*, and are removed at the end, after an error
or a Ctrl-C too; what a killed run left is removed at the start of the next.
"""

from __future__ import annotations

import fcntl
import os
import shlex
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from benchmarks.child import BenchmarkFailed, orchestrate_program, place_in
from benchmarks.contestants import JOIN_IMAGE
from benchmarks.document import Run, document
from benchmarks.engine import (
    compose_version,
    has_image,
    import_sleep_image,
    remove_sleep_image,
    sweep,
)
from benchmarks.figures import Operation, Sample, summarise
from benchmarks.machine import this_machine
from benchmarks.options import Options, parse_options
from benchmarks.planning import planning_samples
from benchmarks.rounds import (
    Session,
    join_samples,
    lifecycle_samples,
    memory_samples,
    startup_samples,
    warm_up,
)
from orchestrator.errors import ExitCode, OrchestrateError

LIFECYCLE = frozenset({Operation.CREATE, Operation.NOOP, Operation.DESTROY})


def main(argv: Sequence[str]) -> int:
    """Run the benchmark; return its exit code."""
    options = parse_options(argv)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with _alone(), _clean_engine():
            text = measure(options, f"python -m benchmarks {shlex.join(argv)}".rstrip())
    except OrchestrateError as exc:
        print(f"benchmarks: {exc}", file=sys.stderr)
        return int(exc.exit_code)
    except KeyboardInterrupt:
        print("benchmarks: interrupted; nothing was written", file=sys.stderr)
        return int(ExitCode.INTERRUPTED)
    if options.out:
        options.out.write_text(text, encoding="utf-8")
    else:
        print(text, end="")
    return 0


def measure(options: Options, command: str) -> str:
    """Take all samples; return the document."""
    machine = this_machine()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        session = Session(
            place=place_in(Path(folder)),
            program=orchestrate_program(),
            rounds=options.rounds,
            only=options.only,
            with_compose=compose_version() is not None,
        )
        samples = list(_samples(session, options.sizes))
    run = Run(machine, command, options.rounds, session.with_compose)
    return document(run, summarise(samples))


def _samples(session: Session, sizes: Sequence[int]) -> Iterator[Sample]:
    warm_up(session)
    if Operation.STARTUP in session.only:
        yield from startup_samples(session)
    if session.only & LIFECYCLE:
        for num_nodes in sizes:
            yield from lifecycle_samples(session, num_nodes)
    if Operation.MEMORY in session.only:
        yield from memory_samples(session, max(sizes))
    if Operation.PLANNING in session.only:
        yield from planning_samples(session.rounds)
    if Operation.JOIN in session.only:
        _need_join_image()
        yield from join_samples(session)


def _need_join_image() -> None:
    if not has_image(JOIN_IMAGE):
        raise BenchmarkFailed(
            f"there is no image {JOIN_IMAGE}",
            fix="build it with `orchestrate apply playbooks/two-rank.yaml`, or leave out join",
        )


@contextmanager
def _clean_engine() -> Iterator[None]:
    """The sleeping nodes' image is there, and nothing of a benchmark before or after."""
    sweep()
    try:
        import_sleep_image()
        yield
    finally:
        sweep()
        remove_sleep_image()


@contextmanager
def _alone() -> Iterator[None]:
    """Two benchmarks at once would measure, and remove, each other.

    The lock is on this package's own folder, so that no file has to be made for it.
    """
    folder = os.open(Path(__file__).parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as exc:
        raise BenchmarkFailed("another benchmark of this checkout is running") from exc
    finally:
        os.close(folder)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
