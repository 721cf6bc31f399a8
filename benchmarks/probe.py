"""What the probe costs a training step: the same steps with it and without, turn by turn.

    python -m benchmarks.probe --out docs/probe.md

One process trains, with the probe in it, which it puts aside for every other turn of some
steps. Two processes would not do: the same program differs by several percent from one start
to the next. Each turn is compared with the one next to it, so that what else the machine
does falls on both. The section of the page between two marks is replaced.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

from benchmarks.machine import cpu_model
from orchestrator import identity
from orchestrator.probe.site.orchestrate_probe.channel import Channel
from orchestrator.probe.site.orchestrate_probe.reporting import Reporter
from orchestrator.probe.site.orchestrate_probe.steps import Steps

ROOT = Path(__file__).resolve().parents[1]
SITE = ROOT / "orchestrator" / "probe" / "site"
SCRIPT = ROOT / "benchmarks" / "scripts" / "steps.py"
BEGIN, END = "<!-- measured: begin -->\n", "<!-- measured: end -->\n"
WARM_UP_STEPS = 20
NUM_CALLS = 100_000


@dataclass(frozen=True, slots=True)
class Size:
    """A model of two square layers: how wide, how many rows a step, how many steps a turn."""

    width: int
    batch: int
    steps: int


# Turns of about a second: the thread and the timer of the probe do their work twice in each.
SIZES = (Size(256, 64, 400), Size(512, 128, 60), Size(1024, 256, 20))


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of each: seconds of the wall clock and of the processor, without and with."""

    wall_s: tuple[float, float]
    processor_s: tuple[float, float]


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "probe.md")
    parser.add_argument("--turns", type=int, default=40)
    options = parser.parse_args(argv)
    rows = [row(size, measured(size, options.turns)) for size in SIZES]
    page = options.out.read_text(encoding="utf-8")
    options.out.write_text(replaced(page, section(rows, options.turns)), encoding="utf-8")


def measured(size: Size, num_turns: int) -> list[Turn]:
    """Let it take turns; every other time the one with the probe begins."""
    with training(size) as process:
        take_turn(process, "with", WARM_UP_STEPS)
        turns = []
        for number in range(num_turns):
            modes = ("without", "with") if number % 2 == 0 else ("with", "without")
            took = {mode: take_turn(process, mode, size.steps) for mode in modes}
            turns.append(Turn(*zip(took["without"], took["with"], strict=True)))
        return turns


@contextmanager
def training(size: Size) -> Iterator[subprocess.Popen[str]]:
    """Start the training program; it waits to be told how many steps to do."""
    reading, writing = os.pipe()
    reader = threading.Thread(target=_drain, args=(reading,))
    reader.start()
    told = {
        identity.ENV_RUN_ID: "benchmark",
        identity.ENV_PROBE_CHANNEL: f"/proc/{os.getpid()}/fd/{writing}",
        identity.ENV_PROBE_HANG_S: "60",
        "RANK": "0",
        "PYTHONPATH": str(SITE),
    }
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), str(size.width), str(size.batch)],
        env={**os.environ, **told},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        yield process
    os.close(writing)
    reader.join()


def _drain(pipe: int) -> None:
    while os.read(pipe, 65536):
        pass
    os.close(pipe)


def take_turn(process: subprocess.Popen[str], mode: str, steps: int) -> tuple[float, float]:
    """Have so many steps done: seconds by the wall clock, and of the processor."""
    if process.stdin is None or process.stdout is None:
        raise ValueError("the process has no pipes")
    process.stdin.write(f"{mode} {steps}\n")
    process.stdin.flush()
    wall_s, processor_s = process.stdout.readline().split()
    return float(wall_s), float(processor_s)


def hook_s() -> float:
    """What one call of the hook takes, with a channel that takes all."""
    os.environ |= {identity.ENV_RUN_ID: "benchmark", "RANK": "0"}
    steps, optimizer = Steps(Reporter("benchmark", Channel(os.devnull))), object()
    began_s = time.process_time()
    for _ in range(NUM_CALLS):
        steps.stepped(optimizer, (), {})
    return (time.process_time() - began_s) / NUM_CALLS


def row(size: Size, turns: Sequence[Turn]) -> str:
    """One line of the table."""
    step_ms = 1000 * median(turn.wall_s[0] for turn in turns) / size.steps
    wall = _percent([turn.wall_s[1] / turn.wall_s[0] for turn in turns])
    processor = _percent([turn.processor_s[1] / turn.processor_s[0] for turn in turns])
    return f"| {size.width} wide, {size.batch} rows | {step_ms:.2f} | {wall} | {processor} |"


def _percent(ratios: Sequence[float]) -> str:
    low, _, high = quantiles(ratios, n=4)
    middle = median(ratios)
    return " ".join(
        (f"{100 * (middle - 1):+.2f} %", f"({100 * (low - 1):+.2f} to {100 * (high - 1):+.2f})")
    )


def section(rows: Sequence[str], num_turns: int) -> str:
    """The text between the marks."""
    machine = f"{os.cpu_count()} cores, {cpu_model()}, Linux {platform.release()}"
    today = time.strftime("%Y-%m-%d", time.gmtime())
    return "\n".join(
        (
            f"Written by `python -m benchmarks.probe` on {today}"
            f" ({machine}, Python {platform.python_version()}; load"
            f" {os.getloadavg()[0]:.1f} at the end). One process trains, {num_turns} turns of some"
            " steps with the probe and as many without, where its hook, thread and timer are put"
            " aside. A change is the median of the quotients of neighbouring turns, with the middle"
            " half of them in brackets; processor time is that of all threads, the probe's"
            " included.",
            "",
            "| model | step without, ms | change of the step time | change of processor time |",
            "| --- | --- | --- | --- |",
            *rows,
            "",
            f"One call of the hook, in a loop of nothing else, takes {1e6 * hook_s():.1f} µs.",
            "",
        )
    )


def replaced(page: str, text: str) -> str:
    """The page with another section between its marks."""
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    return before + BEGIN + text + END + after


if __name__ == "__main__":
    main()
