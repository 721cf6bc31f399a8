"""Runs the contestants in turn, checks what each did, and hands out samples.

Within a round they alternate (A B C, A B C, …), each alone on the machine: what one
created is gone before the next begins.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.alike import Traits, differences, traits_of
from benchmarks.child import BenchmarkFailed, Place, time_command
from benchmarks.contestants import (
    COMPOSE,
    ORCHESTRATE,
    PROJECTS,
    VALIDATE,
    Argv,
    Contestant,
    destroy_of,
    joiners,
    sleep_playbook,
    sleepers,
)
from benchmarks.engine import has_joined, inspect_node, leftovers, num_running
from benchmarks.figures import Operation, Sample

WARM_UP_NODES = 2


@dataclass(frozen=True, slots=True)
class Session:
    """What all rounds share."""

    place: Place
    program: str
    rounds: int
    only: frozenset[Operation]
    with_compose: bool


@dataclass
class _Arena:
    """One operation at one size: runs a contestant and remembers what the first was like."""

    session: Session
    num_nodes: int
    _traits: Traits = field(default_factory=dict)

    def run(self, contestant: Contestant, number: int) -> Iterator[Sample]:
        """Create, apply again where there is such a thing, destroy; each one checked."""
        steps = [(Operation.CREATE, contestant.create), (Operation.NOOP, contestant.again)]
        for operation, argv in steps:
            if argv is not None:
                yield self._timed(operation, argv, contestant, number)
                self._expect_running(contestant)
        yield self._timed(Operation.DESTROY, contestant.destroy, contestant, number)
        self.expect_gone(contestant)

    def join(self, contestant: Contestant, number: int) -> Iterator[Sample]:
        """Wait for the join, and take everything away again."""
        yield self._timed(Operation.JOIN, contestant.create, contestant, number)
        self._expect_alike(contestant)
        if not has_joined(contestant.project, self.num_nodes):
            raise BenchmarkFailed(f"{contestant.name}: a node has not said that it joined")
        time_command(contestant.destroy, self.session.place)
        self.expect_gone(contestant)

    def prepare(self, contestant: Contestant) -> None:
        """Write the contestant's files."""
        for name, text in contestant.files.items():
            (self.session.place.folder / name).write_text(text, encoding="utf-8")

    def _timed(
        self, operation: Operation, argv: Argv, contestant: Contestant, number: int
    ) -> Sample:
        took_s = time_command(argv, self.session.place)
        counted = f"round {number + 1}" if number >= 0 else "warm-up"
        tell(f"{operation} {self.num_nodes} {counted}: {contestant.name} {took_s:.2f} s")
        return Sample(operation, self.num_nodes, contestant.name, number, took_s)

    def _expect_running(self, contestant: Contestant) -> None:
        found = num_running(contestant.project)
        if found != self.num_nodes:
            raise BenchmarkFailed(f"{contestant.name}: {found} of {self.num_nodes} nodes run")
        self._expect_alike(contestant)

    def _expect_alike(self, contestant: Contestant) -> None:
        node = inspect_node(contestant.project, self.num_nodes - 1)
        traits = traits_of(node, with_labels=contestant.name != COMPOSE)
        self._traits = self._traits or traits
        found = differences(self._traits, traits)
        if found:
            listed = "\n  ".join(found)
            raise BenchmarkFailed(f"the nodes of {contestant.name} are not alike:\n  {listed}")

    def expect_gone(self, contestant: Contestant) -> None:
        """Raise unless nothing of the contestant is left."""
        left = leftovers(contestant.project)
        if left:
            raise BenchmarkFailed(f"{contestant.name} left {len(left)} objects behind")


def lifecycle_samples(session: Session, num_nodes: int) -> Iterator[Sample]:
    """Create, apply again and destroy sleeping nodes, every contestant in every round."""
    contestants = sleepers(session.program, num_nodes, with_compose=session.with_compose)
    arena = _Arena(session, num_nodes)
    for number in range(session.rounds):
        for contestant in contestants:
            arena.prepare(contestant)
            for sample in arena.run(contestant, number):
                if sample.operation in session.only:
                    yield sample


def warm_up(session: Session) -> None:
    """One round that nobody counts: it fills the file cache and the byte-code cache."""
    tell("warming up; these times do not count")
    once = Session(session.place, session.program, 1, frozenset(), session.with_compose)
    for _ in lifecycle_samples(once, WARM_UP_NODES):
        pass


def join_samples(session: Session) -> Iterator[Sample]:
    """Time until two ranks have formed their process group. The first round is not counted."""
    arena = _Arena(session, 2)
    for number in range(-1, session.rounds):
        for contestant in joiners(session.program):
            arena.prepare(contestant)
            for sample in arena.join(contestant, number):
                if number >= 0:
                    yield sample


def memory_samples(session: Session, num_nodes: int) -> Iterator[Sample]:
    """Peak memory of the orchestrate process itself, per verb."""
    file = f"{PROJECTS[ORCHESTRATE]}.yaml"
    (session.place.folder / file).write_text(sleep_playbook(num_nodes), encoding="utf-8")
    apply = ("apply", "--engine", "docker", "--detach", file)
    verbs: tuple[tuple[str, Sequence[str]], ...] = (
        ("apply", apply),
        ("apply, nothing to do", apply),
        ("destroy", destroy_of(session.program)[1:]),
    )
    for number in range(session.rounds):
        for name, arguments in verbs:
            peak_mb = _peak_bytes(session, arguments) / 1e6
            tell(f"memory {num_nodes} round {number + 1}: {name} {peak_mb:.1f} MB")
            yield Sample(Operation.MEMORY, num_nodes, f"{ORCHESTRATE} {name}", number, peak_mb)


def _peak_bytes(session: Session, arguments: Sequence[str]) -> int:
    answer = session.place.folder / "peak"
    answer.unlink(missing_ok=True)
    argv = (sys.executable, "-m", "benchmarks.peak_memory", str(answer), *arguments)
    # The command runs in the session's folder, where this package is not importable by itself.
    env = {**session.place.env, "PYTHONPATH": str(Path(__file__).parent.parent)}
    time_command(argv, Place(session.place.folder, env))
    return int(answer.read_text(encoding="utf-8"))


def startup_samples(session: Session) -> Iterator[Sample]:
    """How long a verb takes that asks no engine; a bare Python for comparison."""
    file = f"{PROJECTS[ORCHESTRATE]}.yaml"
    (session.place.folder / file).write_text(sleep_playbook(2), encoding="utf-8")
    commands: tuple[tuple[str, Argv], ...] = (
        ("python -c pass", (sys.executable, "-c", "pass")),
        ("orchestrate --help", (session.program, "--help")),
        (VALIDATE, (session.program, "validate", file)),
    )
    for number in range(-1, session.rounds):
        for name, argv in commands:
            took_s = time_command(argv, session.place)
            if number >= 0:
                yield Sample(Operation.STARTUP, 0, name, number, took_s)


def tell(text: str) -> None:
    """Progress, kept apart from the document on standard output."""
    print(text, file=sys.stderr, flush=True)
