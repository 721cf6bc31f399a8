"""The records that other programs read: every event with its whole set of fields."""

from __future__ import annotations

import re
import socket
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.trainer.trainer_runs import (
    REPOSITORY,
    SMALL,
    Finished,
    cached_run,
    free_port,
    largest_difference,
    run,
    run_alone,
    run_command,
)
from trainer.config import BUILTIN_CORPUS

pytestmark = pytest.mark.torch

TIMES = ("timestamp", "step_time_s", "tokens_per_s")


def without_times(record: dict[str, Any]) -> dict[str, Any]:
    """The record without what the clock decides, after a look at that."""
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", record["timestamp"])
    written_s = datetime.fromisoformat(record["timestamp"]).timestamp()
    assert 0 <= time.time() - written_s < 120
    return {key: value for key, value in record.items() if key not in TIMES}


STARTED = {
    "event": "training_started",
    "model": "tiny",
    "parameters": 820992,
    "parallel": "fsdp",
    "precision": "fp32",
    "device": "cpu",
    "max_steps": 3,
    "seed": 0,
    "global_batch_size": 8,
    "grad_accumulation": 1,
    "sequence_length": 32,
    "data": str(BUILTIN_CORPUS),
    "data_tokens": 148481,
}


def joined(record: dict[str, Any]) -> dict[str, Any]:
    """What the join must say; the port and the build of torch are as found, within reason."""
    assert 1024 < record["master_port"] < 65536
    assert record["torch_version"].startswith("2.13.0")
    return {
        "event": "process_group_joined",
        "local_rank": 0,
        "backend": "gloo",
        "master_addr": "127.0.0.1",
        "master_port": record["master_port"],
        "hostname": socket.gethostname(),
        "gpu": None,
        "rank_sum": 1,
        "torch_version": record["torch_version"],
    }


def step(number: int, lr: float, record: dict[str, Any]) -> dict[str, Any]:
    """What a step must say; loss and norm are as found: their own tests are in test_numerics."""
    # Random weights know nothing of 259 symbols, and ln 259 is 5.56.
    assert 4 < record["loss"] < 5.8
    assert record["grad_norm"] > 0
    measured = {name: record[name] for name in ("loss", "grad_norm")}
    return {"event": "step", "step": number, "lr": pytest.approx(lr), **measured}


def saved(number: int, root: Path) -> dict[str, Any]:
    path = str(root / f"step-{number:08}")
    return {"event": "checkpoint_saved", "step": number, "path": path}


def test_a_run_writes_these_records_and_nothing_else(tmp_path: Path) -> None:
    checkpoints, exported = tmp_path / "checkpoints", tmp_path / "exported"
    done = run(
        2,
        *("--max-steps", "3", "--sequence-length", "32", "--checkpoint-every", "2"),
        *("--checkpoint-dir", str(checkpoints), "--export-dir", str(exported)),
        ORCHESTRATE_RUN_ID="run-7",
        ORCHESTRATE_RESTART_COUNT="2",
    )
    assert done.exit_codes == [0, 0]
    for rank in range(2):
        envelope = {"level": "info", "rank": rank, "world_size": 2, "run_id": "run-7"}
        envelope["restart_count"] = 2
        records = [without_times(record) for record in done.records[rank]]
        expected = [
            joined(records[0]),
            STARTED,
            step(1, 0.0005, records[2]),
            step(2, 0.001, records[3]),
            saved(2, checkpoints),
            step(3, 0.0001, records[5]),
            saved(3, checkpoints),
            {"event": "model_exported", "path": str(exported)},
            {"event": "training_finished", "steps": 3, "loss": records[5]["loss"]},
        ]
        assert records == [{**envelope, **record} for record in expected]


def test_speed_is_the_global_batch_over_the_time_of_the_step() -> None:
    done = cached_run(2, "--parallel", "fsdp", *SMALL)
    steps = [record for record in done.records[1] if record["event"] == "step"]
    assert len(steps) == 8
    for step in steps:
        assert step["tokens_per_s"] * step["step_time_s"] == pytest.approx(8 * 32)


def test_alone_there_is_no_master() -> None:
    joined = run_alone(*SMALL).one("process_group_joined")
    assert (joined["rank"], joined["world_size"], joined["rank_sum"]) == (0, 1, 0)
    assert (joined["master_addr"], joined["master_port"]) == (None, None)


def by_rank(done: Finished) -> list[Finished]:
    """torchrun's one output, taken apart by the rank that each record names."""
    (records,) = done.records
    parts = [[record for record in records if record["rank"] == rank] for rank in range(2)]
    assert sum(len(part) for part in parts) == len(records)
    return [Finished(done.exit_codes, [part], done.stderr) for part in parts]


def test_torchrun_starts_it() -> None:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    done = run_command(*launcher, "--master-port", str(free_port()), "-m", "trainer", *SMALL)
    assert done.exit_codes == [0]
    reference = cached_run(2, "--parallel", "fsdp", *SMALL).losses()
    for number, rank in enumerate(by_rank(done)):
        joined = rank.one("process_group_joined")
        assert (joined["rank"], joined["local_rank"], joined["rank_sum"]) == (number, number, 1)
        assert largest_difference(rank.losses(), reference) <= 1e-5


def test_torchrun_is_told_of_a_failure() -> None:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "1"]
    done = run_command(*launcher, "--standalone", "-m", "trainer", "--data", "absent")
    assert done.exit_codes == [1]
    assert [record["event"] for record in done.records[0]] == ["rank_failed"]


def test_help_goes_to_standard_output_and_is_no_record() -> None:
    done = run_command(
        "sh", "-c", f"{sys.executable} -m trainer --help >&2", PYTHONPATH=str(REPOSITORY)
    )
    assert done.exit_codes == [0]
    assert done.records == [[]]
    assert "usage: python -m trainer" in done.stderr[0]
    assert "torchrun --nproc-per-node 2 -m trainer" in done.stderr[0]
