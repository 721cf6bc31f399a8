"""What the probe costs a training step: the same steps with it and without, turn by turn.

    python -m benchmarks.probe --out docs/probe.md

One process trains, with the probe in it, which it puts aside for every other turn of some
steps. Two processes would not do: the same program differs by several percent from one start
to the next. Turns are short, and many make a round, so that what else the machine does falls
on both; in a round, the probe does what it does in so much of a long run. The section of
the page between two marks is replaced. Takes five minutes.
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
from itertools import cycle
from pathlib import Path

from benchmarks.machine import cpu_model
from benchmarks.meanwhile import Meanwhile
from benchmarks.probe_cost import Measured, Record, Round, Size, Turn, replaced, section
from orchestrator import identity
from orchestrator.probe.site.orchestrate_probe.cadence import MOST_S
from orchestrator.probe.site.orchestrate_probe.channel import Channel
from orchestrator.probe.site.orchestrate_probe.reporting import Reporter
from orchestrator.probe.site.orchestrate_probe.steps import Steps

ROOT = Path(__file__).resolve().parents[1]
SITE = ROOT / "orchestrator" / "probe" / "site"
SCRIPT = ROOT / "benchmarks" / "scripts" / "steps.py"
NUM_CALLS = 100_000
SIZES = (Size(256, 64), Size(512, 128), Size(1024, 256))

# What grows over four turns falls on both.
ORDERS = (("probed", "without", "without", "probed"), ("without", "probed", "probed", "without"))


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "probe.md")
    parser.add_argument("--rounds", type=int, default=72, help="for each size")
    options = parser.parse_args(argv)
    meanwhile = Meanwhile()
    rounds = [(size, measure(size, options.rounds)) for size in SIZES]
    record = record_cost(SIZES[0])
    others = meanwhile.cores_of_others()
    text = section(when_and_where(), Measured(rounds, record, hook_s(), others))
    options.out.write_text(replaced(options.out.read_text("utf-8"), text), encoding="utf-8")


def measure(size: Size, num_rounds: int) -> list[Round]:
    """Let it take turns."""
    with training(size) as process:
        return [take_round(process) for _ in range(num_rounds)]


def take_round(process: subprocess.Popen[str]) -> Round:
    """Have turns taken until those with the probe are as long as a record is from the next."""
    took: dict[str, list[Turn]] = {"probed": [], "without": []}
    fours = cycle(ORDERS)
    while sum(turn.wall_s for turn in took["probed"]) < MOST_S:
        for mode in next(fours):
            # One of them has the record, and a look of the thread.
            asked = mode if mode == "without" or took["probed"] else "telling"
            took[mode].append(Turn(*ask(process, asked)))
    return Round(**took)


def record_cost(size: Size) -> Record:
    """What a record costs the steps around it."""
    with training(size) as process:
        return Record(size, *ask(process, "record"))


@contextmanager
def training(size: Size) -> Iterator[subprocess.Popen[str]]:
    """Start the training program; it waits to be told what to do."""
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


def ask(process: subprocess.Popen[str], mode: str) -> list[float]:
    """Have it train for a while; returns what it has to say of that."""
    if process.stdin is None or process.stdout is None:
        raise ValueError("the process has no pipes")
    process.stdin.write(f"{mode}\n")
    process.stdin.flush()
    return [float(each) for each in process.stdout.readline().split()]


def when_and_where() -> str:
    """The day, and what tells this machine from others."""
    machine = f"{os.cpu_count()} cores, {cpu_model()}, Linux {platform.release()}"
    today = time.strftime("%Y-%m-%d", time.gmtime())
    return f"{today} ({machine}, Python {platform.python_version()})"


def hook_s() -> float:
    """What one call of the hook takes, with a channel that takes all."""
    os.environ |= {identity.ENV_RUN_ID: "benchmark", "RANK": "0"}
    steps, optimizer = Steps(Reporter("benchmark", Channel(os.devnull))), object()
    began_s = time.process_time()
    for _ in range(NUM_CALLS):
        steps.stepped(optimizer, (), {})
    return (time.process_time() - began_s) / NUM_CALLS


if __name__ == "__main__":
    main()
