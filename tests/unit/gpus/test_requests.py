"""What an engine is asked for a node in each GPU mode: the whole of it, one golden file a mode."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from orchestrator.devices import with_gpus
from orchestrator.engines.docker.body import create_body
from orchestrator.engines.docker.creation import Creation
from orchestrator.engines.docker.options import create_options
from orchestrator.engines.docker.traits import TRAITS
from orchestrator.gpus.inventory import Gpu, Slice
from orchestrator.gpus.pool import Unit
from orchestrator.playbook.loader import load_text
from orchestrator.resolve import resolve
from orchestrator.state.desired import RunIdentity
from orchestrator.state.labels import LABEL_SPEC_HASH
from orchestrator.state.spec import NodeSpec, SidecarSpec
from tests.unit.workbench import PLAYBOOK

GOLDEN = Path(__file__).parents[1] / "golden" / "requests"
IDENTITY = RunIdentity("pair", "run-7", "/runs/pair/run-7", "/src/pair.yaml", "sha256:abc")
GPUS = (
    *(Gpu(index, f"GPU-{index}", "A", 2**30) for index in range(4)),
    Gpu(
        4,
        "GPU-4",
        "H",
        2**36,
        has_mig=True,
        slices=(Slice("MIG-0", "3g.40gb", 0), Slice("MIG-1", "1g.10gb", 1)),
    ),
)
UNITS: tuple[Unit, ...] = (*GPUS, *(each for gpu in GPUS for each in gpu.slices))
CDI = frozenset(f"nvidia.com/gpu={unit.uuid}" for unit in UNITS)

CASES: Mapping[str, tuple[str, frozenset[str]]] = {
    "cpu": ("{mode: cpu}", CDI),
    "exclusive": ("{mode: exclusive}", frozenset()),
    "exclusive-cdi": ("{mode: exclusive}", CDI),
    "exclusive-several": ("{mode: exclusive, per_node: 2, memlock: 8MiB}", frozenset()),
    "exclusive-several-cdi": ("{mode: exclusive, per_node: 2}", CDI),
    "shared": ("{mode: shared, devices: [1], memory_fraction: 0.45}", frozenset()),
    "shared-cdi": ("{mode: shared, devices: [1], memory_fraction: 0.45}", CDI),
    "mps": ("{mode: mps, devices: [1], pinned_memory: 4GiB}", frozenset()),
    "mps-cdi": ("{mode: mps, devices: [1], pinned_memory: 4GiB}", CDI),
    "mps-exclusive": (
        "{mode: mps, devices: [1], thread_percentage: 30, set_compute_mode: true}",
        frozenset(),
    ),
    "mig": ("{mode: mig}", frozenset()),
    "mig-cdi": ("{mode: mig}", CDI),
}


def asked(name: str, folder: Path) -> dict[str, dict[str, Any]]:
    """Of the second node, and of the daemon beside the nodes where there is one."""
    gpu, offered = CASES[name]
    text = f"{PLAYBOOK}gpu: {gpu}\n"
    resolved = resolve(load_text(text.encode(), name="p.yaml", folder=folder), TRAITS)
    desired = with_gpus(resolved, GPUS, (), offered=offered)
    of_node, beside = _requests(desired.nodes[1]), desired.sidecar
    return {**of_node, **({"daemon": _requests(beside)} if beside else {})}


def _requests(spec: NodeSpec | SidecarSpec) -> dict[str, dict[str, Any]]:
    """The engine's API, and what python-on-whales makes the words of `docker create` of."""
    creation = Creation(spec, IDENTITY, "1000", restores=(("GPU-1", "DEFAULT"),))
    api, command = create_body(creation), create_options(creation)
    for labels in (api["Labels"], command["labels"]):
        del labels[LABEL_SPEC_HASH]  # a digest of what the rest says
    return {"api": api, "command": command}


@pytest.mark.parametrize("name", CASES)
def test_the_requests_of(name: str, tmp_path: Path) -> None:
    assert asked(name, tmp_path) == json.loads((GOLDEN / f"{name}.json").read_text())


def test_no_golden_file_is_left_over() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == set(CASES)
