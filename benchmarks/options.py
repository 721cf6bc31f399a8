"""The command line of `python -m benchmarks`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import Operation


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for. `out` None means standard output."""

    sizes: tuple[int, ...]
    rounds: int
    only: frozenset[Operation]
    out: Path | None


def parse_options(argv: Sequence[str]) -> Options:
    """Read the command line; exits with a message when it is wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--sizes", type=_sizes, default=(2, 16, 64), help="numbers of nodes (2,16,64)"
    )
    parser.add_argument("--rounds", type=_positive, default=3, help="rounds per size (3)")
    parser.add_argument(
        "--only", type=_operations, default=frozenset(Operation),
        help=f"some of {','.join(Operation)}",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, help="write the document here, not to standard output")
    return Options(**vars(parser.parse_args(argv)))


def _positive(text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 up")
    return number


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(sorted({_positive(each) for each in text.split(",")}))


def _operations(text: str) -> frozenset[Operation]:
    known = set(Operation)
    unknown = [each for each in text.split(",") if each not in known]
    if unknown:
        raise argparse.ArgumentTypeError(
            f"unknown: {', '.join(unknown)}; known: {', '.join(Operation)}"
        )
    return frozenset(Operation(each) for each in text.split(","))
