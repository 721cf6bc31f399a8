"""Figures in, docs/performance.md out. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.contestants import COMPOSE, ORCHESTRATE, SCRIPT, VALIDATE
from benchmarks.figures import BASELINES, Figure, Operation, Spread
from benchmarks.machine import Machine
from benchmarks.targets import Verdict, verdicts

TITLES = {
    Operation.CREATE: "Create",
    Operation.NOOP: "Nothing to do",
    Operation.DESTROY: "Destroy",
    Operation.MEMORY: "Peak memory",
    Operation.JOIN: "Join",
    Operation.STARTUP: "Start-up",
    Operation.PLANNING: "Planning",
}

METHODS = {
    Operation.CREATE: "Start N nodes that run `sleep 600` on an internal network of their own. "
    "`orchestrate apply --engine docker --detach` against `benchmarks/scripts/create.sh`: "
    "`docker network create --internal` and `docker run --detach`, eight at a time.",
    Operation.NOOP: "The same command again, while all nodes run. The script has no such thing: "
    "run again, it fails.",
    Operation.DESTROY: "`orchestrate destroy NAME` against `docker rm --force` of all containers "
    "in one call and `docker network rm`. orchestrate also sends SIGTERM first, keeps every "
    "node's log and looks afterwards whether anything is left.",
    Operation.MEMORY: "The kernel's peak resident size (VmHWM) of the orchestrate process alone, "
    "read as it exits; docker's processes are not in it.",
    Operation.JOIN: "Two ranks of `python -m trainer --max-steps 1 --warmup-steps 0` in the "
    "image of the demo. "
    "`orchestrate apply` with the check `joined` alone, against `benchmarks/scripts/join.sh`, "
    "which follows `docker logs` until both ranks have written `process_group_joined`.",
    Operation.STARTUP: "Verbs that ask no engine, with a bare Python for comparison.",
    Operation.PLANNING: "Deciding alone, without an engine: from what is wanted and what was "
    "found to a plan, with nothing to do and with every node replaced for three fields; then that "
    "plan as text and as JSON. Processor time, not the wall clock.",
}

PREAMBLE = """\
# Performance

Written by `{command}`; do not edit by hand, run it again.

Every time is the wall clock from starting a command to its exit. Contestants alternate
within each round, each alone on the engine: what one created is gone before the next
begins. After each step the benchmark counts the containers that run or are left, and it
inspects a container of each contestant: their flags (init, capabilities,
no-new-privileges, limits, shared memory, log driver, environment, number of networks
and labels) are equal, or it refuses to compare. Compose sets labels of its own, so theirs
are not counted. The playbooks say `probe: off`, as the scripts place no probe either.
Python's byte code is cached, as after the first start.

Number of rounds: {rounds}. Times are medians; a ratio is the median of the quotients of
the same round, with their extremes in brackets.
"""


WHOSE = """\
## Whose time it is

Two nodes show the start of a Python program above all. Loading it and the playbook takes the
time of `orchestrate validate`, {start} s, which no shell script has and which does not grow
with the nodes. What is left of the medians, against all that the script takes:

"""

BUSY = """
**The machine was busy with other work when this began: no target counts as met or
missed by these numbers. Run it again in quiet.**
"""


@dataclass(frozen=True, slots=True)
class Run:
    """What is told of a run besides its figures."""

    machine: Machine
    command: str
    rounds: int
    with_compose: bool


def document(run: Run, figures: Sequence[Figure]) -> str:
    """The whole document."""
    sections = [
        PREAMBLE.format(command=run.command, rounds=run.rounds),
        _machine_section(run.machine),
        _targets_section(verdicts(figures)),
        _start_section(figures),
        *(
            _operation_section(run, operation, [f for f in figures if f.operation is operation])
            for operation in Operation
        ),
    ]
    return "\n".join(section for section in sections if section)


def _machine_section(machine: Machine) -> str:
    rows = [
        ("Date", machine.date),
        ("Cores", f"{machine.cores} ({machine.cpu})"),
        ("Memory", f"{machine.memory_gib:.1f} GiB"),
        ("Kernel", machine.kernel),
        ("Docker", machine.docker),
        ("Python", machine.python),
        ("Load before the run", f"{machine.load:.2f} (one minute)"),
    ]
    return "## Machine\n\n" + table(("", ""), rows) + (BUSY if machine.is_busy else "")


def _targets_section(judged: Sequence[Verdict]) -> str:
    if not judged:
        return ""
    rows = [
        (
            each.target.words,
            each.figure.contestant,
            str(each.figure.num_nodes),
            f"{each.measured:.2f}",
            "yes" if each.is_met else "**no**",
        )
        for each in judged
    ]
    return "## Targets\n\n" + table(("target", "of", "nodes", "measured", "met"), rows)


def _start_section(figures: Sequence[Figure]) -> str:
    """What of each time is the start's; empty where it was not measured."""
    medians = {(each.operation, each.num_nodes, each.contestant): each.spread.median
               for each in figures}  # fmt: skip
    start = medians.get((Operation.STARTUP, 0, VALIDATE))
    if start is None:
        return ""
    rows = [
        (operation, str(nodes), _number(whole), _number(whole - start), _number(base),
         _number((whole - start) / base))
        for (operation, nodes, name), whole in medians.items()
        if name == ORCHESTRATE and operation in {Operation.CREATE, Operation.JOIN}
        and (base := medians.get((operation, nodes, SCRIPT)))
    ]  # fmt: skip
    headings = ("operation", "nodes", "whole s", "without start s", "script s", "ratio")
    return WHOSE.format(start=_number(start)) + table(headings, rows) if rows else ""


def _operation_section(run: Run, operation: Operation, figures: Sequence[Figure]) -> str:
    if not figures:
        return ""
    unit = "MB" if operation is Operation.MEMORY else "s"
    baseline = BASELINES.get(operation)
    nodes = () if operation is Operation.STARTUP else ("nodes",)
    ratio = (f"ratio to {baseline}",) if baseline else ()
    headings = (*nodes, "contestant", f"median {unit}", f"min to max {unit}", *ratio)
    rows = [_row(each) for each in figures] + _missing(run, operation, len(headings))
    return f"## {TITLES[operation]}\n\n{METHODS[operation]}\n\n" + table(headings, rows)


def _row(figure: Figure) -> tuple[str, ...]:
    nodes = () if figure.operation is Operation.STARTUP else (str(figure.num_nodes),)
    cells = (*nodes, figure.contestant, _number(figure.spread.median), _range(figure.spread))
    if figure.operation not in BASELINES:
        return cells
    ratio = figure.ratio
    return (*cells, f"{_number(ratio.median)} ({_range(ratio)})" if ratio else "—")


def _missing(run: Run, operation: Operation, num_columns: int) -> list[tuple[str, ...]]:
    """A row that says so where compose would have taken part."""
    takes_part = operation in {Operation.CREATE, Operation.NOOP, Operation.DESTROY}
    if run.with_compose or not takes_part:
        return []
    cells = ("all", COMPOSE, "not installed here")
    return [(*cells, *[""] * (num_columns - len(cells)))]


def _number(value: float) -> str:
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _range(spread: Spread) -> str:
    return f"{_number(spread.low)} to {_number(spread.high)}"


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table that ends with a newline."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
