"""How far a build or a pull has come, from the lines that it prints. Pure.

Builders and engines say it to people alone: `Step 3/12 : RUN …`, `#7 [ 3/12] RUN …`, or a line
for each layer that begins and ends. What is none of that is shown as the latest line.
"""

from __future__ import annotations

import re

from msgspec import Struct
from msgspec.structs import replace

_LEGACY_STEP = re.compile(r"Step (?P<done>\d{1,5})/(?P<total>\d{1,5}) : (?P<what>.*)")
_BUILDKIT_STEP = re.compile(
    r"#\d+ \[(?:[^\]]*? )?\s*(?P<done>\d{1,5})/(?P<total>\d{1,5})\] (?P<what>.*)"
)
_BUILDKIT_OUTPUT = re.compile(r"^#\d+ \d+\.\d+ ")
_LAYER = re.compile(r"(?P<layer>[0-9a-f]{12}): (?P<state>[A-Z][a-z]+(?: [a-z]+)*)")
_THERE = ("Pull complete", "Already exists")


class Progress(Struct, frozen=True):
    """What is known of something that takes long.

    Attributes:
        said: the latest line worth reading.
        unit: what is counted; empty as long as nothing is.
        done: how many of them are done or, of steps, under way.
        total: of how many, as far as that is known.
        layers: `{layer: whether it is there}` of a pull.
    """

    said: str = ""
    unit: str = ""
    done: int = 0
    total: int = 0
    layers: tuple[tuple[str, bool], ...] = ()


def advanced(progress: Progress, line: str) -> Progress:
    """What is known once one more line was printed."""
    step = _LEGACY_STEP.match(line) or _BUILDKIT_STEP.match(line)
    if step and 0 < int(step["done"]) <= int(step["total"]):
        # BuildKit runs stages side by side, each with steps of its own: the furthest counts.
        done = max(int(step["done"]), progress.done if progress.unit == "step" else 0)
        total = max(int(step["total"]), progress.total if progress.unit == "step" else 0)
        return replace(progress, said=step["what"], unit="step", done=done, total=total)
    if layer := _LAYER.match(line):
        layers = dict(progress.layers) | {layer["layer"]: layer["state"] in _THERE}
        return replace(
            progress,
            unit="layer",
            done=sum(layers.values()),
            total=len(layers),
            layers=tuple(layers.items()),
        )
    said = _BUILDKIT_OUTPUT.sub("", line).strip()
    return replace(progress, said=said) if said else progress
