"""docs/reliability.md from the rows that the tests recorded. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

Row = dict[str, str | int | float]

HEAD = """\
# Reliability

Written by `make reliability` from what the tests measured; do not edit by hand, run it again.
It runs those that record something; the same run with all others in `make test`. A row is here
only if everything that it counts held.
"""

LIMITS = """\
## What is not promised

- A call that is under way in the engine when orchestrate is killed goes on there. `apply` takes
  over what it makes late; after a `destroy` that came before it, one more `destroy` takes that
  away.
- A build that is killed leaves its scratch folder in the cache; the next build sweeps it.
- Locks are each user's own. Between two users on one engine, the engine's unique names and the
  owner label decide: at most one gets the project. Asked for at the very same moment, engines
  up to 24 may make two networks of one name: then both are refused until one destroys. Two
  names of one engine (a proxy's socket, a context) are two locks for one user, too.
- A `docker create` that leaves a child behind which keeps its output open is waited for as long
  as that child lives.
"""


@dataclass(frozen=True, slots=True)
class Section:
    """What is said about a table, and how its rows are summed up."""

    title: str
    text: str
    summed_up: Callable[[Sequence[Row]], list[Row]] = list


def _bad_engines(rows: Sequence[Row]) -> list[Row]:
    """One row for each call: how it ended, over all ways to go wrong."""
    calls = dict.fromkeys((row["way"], row["case"]) for row in rows)
    found: list[Row] = []
    for way, case in calls:
        mine = [row for row in rows if (row["way"], row["case"]) == (way, case)]
        went_on = sum(row["ends"] == "goes on" for row in mine)
        found.append(
            {
                "case": case,
                "way": way,
                "misbehaviours": len(mine),
                "typed errors": len(mine) - went_on,
                "went on": went_on,
                "slowest_s": round(max(float(row["took_s"]) for row in mine), 1),
            }
        )
    return found


def _added_up(rows: Sequence[Row]) -> list[Row]:
    """One row for each case: its numbers are the sums of all its rows'."""
    found: dict[str, Row] = {}
    for row in rows:
        total = found.setdefault(str(row["case"]), {})
        total |= {column: _plus(total.get(column, 0), value) for column, value in row.items()}
    return list(found.values())


def _plus(one: str | float, other: str | float) -> str | float:
    return other if isinstance(one, str) or isinstance(other, str) else one + other


SECTIONS = {
    "crash points": Section(
        "Killed, and run again",
        "SIGKILL at every single point, found by counting up until the command ran through. "
        "Then orchestrate is run again: it must exit with 0, have nothing left to do, leave "
        "nothing behind when destroyed, have kept every log, and other projects, owners and "
        "strangers' objects must be byte for byte as before.",
    ),
    "one at a time": Section(
        "One at a time",
        "Applies of one project started at once; the lock is the kernel's, and goes with its "
        "process. The time is from taking the lock to the last refusal, with twenty "
        "interpreters starting on as many cores as there are.",
    ),
    "two owners": Section(
        "Two owners on one engine",
        "Objects bear `orchestrate.owner`: the numeric user id, or `ORCHESTRATE_OWNER`. Exit "
        "code 15 names owner and ids; what lacks the label is nobody's, and treated as "
        "another's.",
    ),
    "bad engines": Section(
        "Engines and commands that misbehave",
        "Each call, with a `docker` or a socket that hangs, answers garbage, half of its JSON, "
        "wrong types or too much, dies or closes early; deadline 0.1 s for an answer, 1 s for "
        "bulk. Ends in a typed error, or goes on where the answer's body does not matter; no "
        "child process is left.",
        _bad_engines,
    ),
    "drift": Section(
        "Changed behind its back",
        "Two nodes run; somebody does this to node 1 by hand, or to the network or the image. The "
        "plan must say so in these words, here of a project `x` and of objects named `other`; "
        "apply does what stands here; then the plan must be empty. What is not ours is named and "
        "refused (exit code 6) or left alone, and the nodes are the same as before.",
    ),
    "planning": Section(
        "Planning changes nothing",
        "`plan`, with and without drift, `plan --out` and `apply --check`, with every request to "
        "the engine written down.",
    ),
    "planning cost": Section(
        "What planning costs",
        "Processor time of deciding alone; 10,000 nodes must be planned in under 2 s. That it "
        "grows with their number, other tests show by counting steps of Python.",
    ),
    "malformed inputs": Section(
        "Malformed inputs",
        "Each ends in what it means or in typed errors with their places, whole and printable, "
        "and in no other way: no traceback, no hang, nothing created. Fault by fault: the whole "
        "text of every error is compared. Where a corpus says what is valid, what is read has "
        "the value that the corpus gives, or the difference is listed one by one in "
        "`tests/fuzz/verdicts.py`. `make fuzz` lets libFuzzer run for longer.",
        _added_up,
    ),
    "stopped engine": Section(
        "An engine that is stopped in mid-run",
        "A real engine of the test's own is stopped under an apply that follows its nodes, and "
        "started again. The time includes the engine's own until it has stopped.",
    ),
    "interrupts": Section(
        "Interrupted",
        "A signal once winds down and names what was left in place; twice leaves at once. Then "
        "destroy leaves nothing.",
    ),
}


def render(tables: dict[str, list[Row]]) -> str:
    """The whole page; tables that nothing is known of come last."""
    order = [*(name for name in SECTIONS if name in tables), *sorted(set(tables) - set(SECTIONS))]
    parts = [HEAD]
    for name in order:
        section = SECTIONS.get(name, Section(name.capitalize(), ""))
        parts.append(f"## {section.title}\n")
        if section.text:
            parts.append(f"{section.text}\n")
        parts.append(_table(section.summed_up(tables[name])))
    return "\n".join([*parts, LIMITS])


def _table(rows: Sequence[Row]) -> str:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    lines = [columns, ["---"] * len(columns)]
    lines += [[_cell(row.get(column, "")) for column in columns] for row in rows]
    lines[0] = [column.replace("_", " ") for column in columns]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(value: str | float) -> str:
    return str(value).replace("|", "\\|")
