"""How well a median is known. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import comb
from statistics import median

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """A median of a sample, and between what the median of all there might be lies."""

    median: float
    low: float
    high: float


def median_interval(sample: Sequence[float]) -> Interval:
    """The interval with a confidence of at least CONFIDENCE, whatever the distribution.

    Each value is below the true median or above it as a coin falls. So the values that as
    many tosses hardly ever leave outside are its ends (the sign test turned round). Less
    than six values leave nothing outside often enough: their ends are the extremes.
    """
    ordered = sorted(sample)
    rare = (1 - CONFIDENCE) / 2 * 2 ** len(ordered)
    tails = accumulate(comb(len(ordered), heads) for heads in range(len(ordered)))
    outside = sum(tail <= rare for tail in tails)
    first = max(outside - 1, 0)
    return Interval(median(ordered), ordered[first], ordered[-1 - first])
