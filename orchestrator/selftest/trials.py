"""Which modes a machine's GPUs allow, and the playbook that tries each. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from msgspec import Struct

from orchestrator.gpus.inventory import Gpu
from orchestrator.playbook.models import Gpu as GpuSection
from orchestrator.playbook.tree import Key

NUM_NODES = 2
NUM_STEPS = 2
_MODE = GpuSection.model_fields["mode"].annotation
MODES: tuple[str, ...] = tuple(mode for mode in get_args(_MODE) if mode != "cpu")
"""Those of the playbook language, but for the one without GPUs."""

_SETTINGS: Mapping[str, Mapping[str, Any]] = {"shared": {"memory_fraction": 0.45}}


class Trial(Struct, frozen=True):
    """One mode, to be tried or not: `obstacle` says why it cannot be."""

    mode: str
    obstacle: str = ""

    @property
    def project(self) -> str:
        """The name of the project that tries it."""
        return f"gpu-selftest-{self.mode}"


def trials(gpus: Sequence[Gpu]) -> tuple[Trial, ...]:
    """Every mode, with what keeps it from being tried on these GPUs."""
    whole = sum(not gpu.has_mig for gpu in gpus)
    slices = sum(len(gpu.slices) for gpu in gpus)
    return tuple(Trial(mode, _obstacle(mode, whole, slices)) for mode in MODES)


def _obstacle(mode: str, whole: int, slices: int) -> str:
    if mode == "mig":
        return "" if slices >= NUM_NODES else f"it takes {NUM_NODES} MIG slices: {slices} are here"
    needed = NUM_NODES if mode == "exclusive" else 1
    what = f"{needed} GPUs that are" if needed > 1 else "a GPU that is"
    return "" if whole >= needed else f"it takes {what} not cut into slices: {whole} are here"


def playbook_text(trial: Trial, base: Mapping[Key, Any]) -> str:
    """The playbook that tries a mode: two ranks join, sum, and train for a step or two.

    Args:
        trial: the mode.
        base: a playbook as data; its image is used, and its memlock where it has one.
    """
    gpu = {"mode": trial.mode, **_SETTINGS.get(trial.mode, {})}
    memlock = base.get("gpu", {}).get("memlock")
    document = {
        "version": 1,
        "name": trial.project,
        "image": base["image"],
        "ranks": {
            "nodes": NUM_NODES,
            "command": ["python", "-m", "trainer", "--max-steps", str(NUM_STEPS)],
            "env": {"OMP_NUM_THREADS": "1"},
        },
        "rendezvous": {"timeout": "5m"},
        "gpu": gpu if memlock is None else gpu | {"memlock": memlock},
        "health_checks": [
            {"joined": {"within": "5m"}},
            {"training": {"steps": 1, "within": "10m"}},
            {"completed": {"within": "15m"}},
        ],
    }
    return json.dumps(document, indent=2)  # JSON is YAML
