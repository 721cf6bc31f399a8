"""The document says what was run, on what, and what came of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.contestants import ORCHESTRATE, SCRIPT, VALIDATE
from benchmarks.document import Run, document
from benchmarks.figures import Figure, Operation, Sample, Spread, summarise
from benchmarks.machine import Machine

MACHINE = Machine(
    date="2026-01-02", cores=2, cpu="Some CPU", memory_gib=24.0, kernel="6.1",
    docker="engine 20.10", python="3.11.7", load=0.25,
)  # fmt: skip


def sections(text: str) -> dict[str, list[str]]:
    """The table rows below each heading."""
    found: dict[str, list[str]] = {}
    for part in text.split("\n## ")[1:]:
        heading, _, body = part.partition("\n")
        found[heading] = [line for line in body.splitlines() if line.startswith("|")]
    return found


def test_the_whole_of_a_run_without_compose() -> None:
    figures = summarise(
        [
            Sample(Operation.CREATE, 2, ORCHESTRATE, 0, 1.5),
            Sample(Operation.CREATE, 2, SCRIPT, 0, 1.0),
            Sample(Operation.NOOP, 2, ORCHESTRATE, 0, 0.5),
            Sample(Operation.MEMORY, 64, "orchestrate apply", 0, 44.25),
        ]
    )

    text = document(Run(MACHINE, "python -m benchmarks", 1, with_compose=False), figures)

    assert text.startswith("# Performance\n\nWritten by `python -m benchmarks`;")
    assert sections(text) == {
        "Machine": [
            "|  |  |",
            "| --- | --- |",
            "| Date | 2026-01-02 |",
            "| Cores | 2 (Some CPU) |",
            "| Memory | 24.0 GiB |",
            "| Kernel | 6.1 |",
            "| Docker | engine 20.10 |",
            "| Python | 3.11.7 |",
            "| Load before the run | 0.25 (one minute) |",
        ],
        "Targets": [
            "| target | of | nodes | measured | met |",
            "| --- | --- | --- | --- | --- |",
            "| create: at most 1.15 times the shell script | orchestrate | 2 | 1.50 | **no** |",
            "| nothing to do: at most 0.6 s | orchestrate | 2 | 0.50 | yes |",
            "| peak memory at 64 nodes: under 80 MB | orchestrate apply | 64 | 44.25 | yes |",
        ],
        "Create": [
            "| nodes | contestant | median s | min to max s | ratio to shell script |",
            "| --- | --- | --- | --- | --- |",
            "| 2 | orchestrate | 1.50 | 1.50 to 1.50 | 1.50 (1.50 to 1.50) |",
            "| 2 | shell script | 1.00 | 1.00 to 1.00 | — |",
            "| all | docker compose | not installed here |  |  |",
        ],
        "Nothing to do": [
            "| nodes | contestant | median s | min to max s | ratio to docker compose |",
            "| --- | --- | --- | --- | --- |",
            "| 2 | orchestrate | 0.50 | 0.50 to 0.50 | — |",
            "| all | docker compose | not installed here |  |  |",
        ],
        "Peak memory": [
            "| nodes | contestant | median MB | min to max MB |",
            "| --- | --- | --- | --- |",
            "| 64 | orchestrate apply | 44.2 | 44.2 to 44.2 |",
        ],
    }


@pytest.mark.parametrize(("load", "is_said"), [(0.5, False), (0.51, True)])
def test_a_busy_machine_is_admitted(load: float, is_said: bool) -> None:
    run = Run(replace(MACHINE, load=load), "python -m benchmarks", 1, with_compose=False)

    assert ("The machine was busy" in document(run, [])) is is_said


def test_compose_is_not_called_missing_where_it_took_part() -> None:
    figures = [Figure(Operation.DESTROY, 2, SCRIPT, Spread(12.34, 1.0, 20.0), None)]

    text = document(Run(MACHINE, "python -m benchmarks", 3, with_compose=True), figures)

    assert sections(text)["Destroy"] == [
        "| nodes | contestant | median s | min to max s | ratio to shell script |",
        "| --- | --- | --- | --- | --- |",
        "| 2 | shell script | 12.3 | 1.00 to 20.0 | — |",
    ]
    assert "Targets" not in sections(text)


def test_start_up_speaks_of_no_nodes() -> None:
    figures = summarise([Sample(Operation.STARTUP, 0, "orchestrate --help", 0, 0.25)])

    text = document(Run(MACHINE, "python -m benchmarks", 1, with_compose=False), figures)

    assert sections(text)["Start-up"] == [
        "| contestant | median s | min to max s |",
        "| --- | --- | --- |",
        "| orchestrate --help | 0.25 | 0.25 to 0.25 |",
    ]


def test_what_is_left_of_a_time_without_the_start() -> None:
    figures = summarise(
        [
            Sample(Operation.CREATE, 2, ORCHESTRATE, 0, 0.75),
            Sample(Operation.CREATE, 2, SCRIPT, 0, 0.5),
            Sample(Operation.CREATE, 16, ORCHESTRATE, 0, 3.25),
            Sample(Operation.CREATE, 16, SCRIPT, 0, 4.0),
            Sample(Operation.DESTROY, 2, ORCHESTRATE, 0, 0.5),
            Sample(Operation.DESTROY, 2, SCRIPT, 0, 0.5),
            Sample(Operation.STARTUP, 0, VALIDATE, 0, 0.25),
        ]
    )
    text = document(Run(MACHINE, "python -m benchmarks", 1, with_compose=False), figures)
    assert "`orchestrate validate`, 0.25 s, which" in text
    assert sections(text)["Whose time it is"] == [
        "| operation | nodes | whole s | without start s | script s | ratio |",
        "| --- | --- | --- | --- | --- | --- |",
        "| create | 2 | 0.75 | 0.50 | 0.50 | 1.00 |",
        "| create | 16 | 3.25 | 3.00 | 4.00 | 0.75 |",
    ]
