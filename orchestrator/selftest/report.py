"""The table for the screen, and the file to paste into an issue. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from orchestrator.doctor.facts import Facts, Unknown
from orchestrator.doctor.finding import Finding
from orchestrator.printable import printable
from orchestrator.selftest.result import ModeResult

FILE = "orchestrate-gpu-selftest.md"
_HEADINGS = ("mode", "result", "joined", "all_reduce", "training", "GPUs used", "backend", "took")


def rows(results: Sequence[ModeResult]) -> list[tuple[str, ...]]:
    """A row for each mode, below their headings."""
    return [_HEADINGS, *map(_row, results)]


def _row(result: ModeResult) -> tuple[str, ...]:
    if result.status == "not possible":
        return (result.mode, result.status, *[""] * 6)
    checks = dict(result.checks)
    ranks = result.ranks
    return (
        result.mode,
        result.status,
        checks.get("joined", ""),
        ", ".join(str(each.rank_sum) for each in ranks if each.rank_sum is not None),
        checks.get("training", ""),
        ", ".join(dict.fromkeys(each.used for each in ranks if each.used)),
        ", ".join(dict.fromkeys(each.backend for each in ranks if each.backend)),
        f"{result.took_s:.1f} s",
    )


def table(results: Sequence[ModeResult]) -> Iterator[str]:
    """The rows set in columns."""
    found = rows(results)
    widths = [max(len(row[column]) for row in found) for column in range(len(_HEADINGS))]
    for row in found:
        cells = (f"{cell:{width}}" for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()
    for result in results:
        if result.why:
            yield f"{result.mode}: {result.why}"


def markdown(
    facts: Facts,
    findings: Sequence[Finding],
    results: Sequence[ModeResult],
    versions: Mapping[str, str],
) -> str:
    """The whole report; what others have said in it cannot break out of its place."""
    parts = ["# GPU selftest of orchestrate", "", *_table_lines(results), ""]
    parts += [f"- {result.mode}: {_inline(result.why)}" for result in results if result.why]
    parts += ["", "## Machine", ""]
    named = {**versions, "system": facts.system.name, "driver": facts.gpus.driver or "none"}
    parts += [f"- {name}: {_inline(text)}" for name, text in named.items()]
    parts += ["", "## GPUs", "", *_gpu_lines(facts), "", "## Doctor", ""]
    parts += [
        f"- {each.status.value}: {each.id}: {_inline(each.found)}"
        for each in findings
        if each.id.startswith(("gpu", "engine", "limits", "shm"))
    ]
    parts += ["", "## Ranks", "", *_rank_lines(results)]
    return "\n".join(parts).rstrip() + "\n"


def _table_lines(results: Sequence[ModeResult]) -> Iterator[str]:
    heading, *others = rows(results)
    yield f"| {' | '.join(heading)} |"
    yield f"|{' --- |' * len(heading)}"
    for row in others:
        yield f"| {' | '.join(map(_inline, row))} |"


def _gpu_lines(facts: Facts) -> Iterator[str]:
    found = facts.gpus.inventory
    if isinstance(found, Unknown):
        yield f"- {_inline(found.why)}"
    else:
        yield from (f"- {_inline(str(gpu))}" for gpu in found)


def _rank_lines(results: Sequence[ModeResult]) -> Iterator[str]:
    for result in results:
        for each in result.ranks:
            given, said = ", ".join(each.given), each.fault or "uses what it was given"
            yield f"- {result.mode}, rank {each.rank}: given {given}; {_inline(said)}"


def _inline(text: str) -> str:
    """One line, with what Markdown and HTML would take for their own spelled out."""
    line = printable(" ".join(text.split()))
    for special, spelled in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("|", "&#124;")):
        line = line.replace(special, spelled)
    return line.replace("`", "'")
