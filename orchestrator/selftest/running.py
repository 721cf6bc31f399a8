"""Carry out a trial: load its playbook, apply it, see what it shows, take it away again."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.deciding import Request
from orchestrator.engines.base import Engine
from orchestrator.errors import OrchestrateError
from orchestrator.events import Sink
from orchestrator.gpus.inventory import Inventory
from orchestrator.playbook.loader import load_text
from orchestrator.playbook.tree import Key
from orchestrator.run import apply
from orchestrator.selftest.result import ModeResult, failed, result_of
from orchestrator.selftest.trials import Trial, playbook_text
from orchestrator.state.observed import ProjectSummary
from orchestrator.teardown import Placed, destroy

GRACE_S = 5.0


class Bench(Struct, frozen=True):
    """Where trials are carried out.

    Attributes:
        engine: on what.
        base: a playbook as data, whose image is used.
        folder: what relative paths of that image are relative to.
        lock_folder: where locks lie.
        inventory: asks for the machine's GPUs.
    """

    engine: Engine
    base: Mapping[Key, Any]
    folder: Path
    lock_folder: Path
    inventory: Inventory


def run_trial(trial: Trial, bench: Bench, sink: Sink) -> ModeResult:
    """Try one mode; nothing of it is left, whatever happens, but the folder of its run."""
    began_s = time.monotonic()
    try:
        result = result_of(trial, apply(_request(trial, bench), sink))
    except OrchestrateError as exc:
        result = failed(trial, str(exc), time.monotonic() - began_s)
    except BaseException:
        _take_away(trial, bench)
        raise
    left = _take_away(trial, bench)
    return replace(result, status="failed", why=result.why or left) if left else result


def _request(trial: Trial, bench: Bench) -> Request:
    text = playbook_text(trial, bench.base)
    loaded = load_text(text.encode(), name=f"{trial.project}.yaml", folder=bench.folder)
    # A run of an earlier selftest that was killed proves nothing of this one.
    return Request(loaded, bench.engine, bench.lock_folder, rerun=True, inventory=bench.inventory)


def _take_away(trial: Trial, bench: Bench) -> str:
    """Destroy what the trial has made; why that failed, empty where it did not."""
    placed = Placed(bench.engine, ProjectSummary(trial.project))
    try:
        destroy(placed, bench.lock_folder, lambda _: None, grace_s=GRACE_S)
    except OrchestrateError as exc:
        return str(exc)
    return ""
