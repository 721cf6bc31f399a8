"""Real torch, scripts that know nothing of the probe: what it reports, and that it only reports."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import pytest

from tests.probe.ranks import DEADLINE_S, SCRIPTS, free_port, rank_variables, run_ranks
from tests.unit.probe.stand import Channel, running

pytestmark = pytest.mark.torch


def test_a_run_is_the_same_to_the_last_bit_and_is_told_step_by_step(tmp_path: Path) -> None:
    without = run_ranks("train_ddp_fsdp.py", str(tmp_path), probe=False)
    with_probe = run_ranks("train_ddp_fsdp.py", str(tmp_path), ORCHESTRATE_PROBE_CHECKSUM="1")
    assert [each.seen for each in with_probe] == [each.seen for each in without]
    assert [each.code for each in without] == [0, 0]
    assert without[0].stdout.count("0x") == 25
    for rank, outcome in enumerate(with_probe):
        joined = _one(outcome.channel, "process_group_joined")
        assert joined == _join(rank, joined["peers"])
        # DDP's 6 steps; the first of another optimizer is not known to be an iteration of its own.
        assert _one(outcome.channel, "process_ended")["steps"] == 6 + 3 * 5
        assert _one(outcome.channel, "checkpoint_saved")["path"] == f"{tmp_path}/{rank}.pt"
    first, second = (each.channel for each in with_probe)
    sums = [each["checksum"] for each in first.of("parameters")]
    # Steps 1, 2 and 5 are DDP's; what FSDP has in shards, at steps 10 and 20, is not looked at.
    assert (len(sums), len(set(sums))) == (3, 3)
    assert [each["checksum"] for each in second.of("parameters")] == sums
    assert len({_one(each.channel, "process_group_joined")["peers"] for each in with_probe}) == 1
    assert [each.channel.of("probe_fault", "stacks") for each in with_probe] == [[], []]


def test_ranks_of_torchrun_speak_past_its_redirects_and_its_agent_stays_out(
    tmp_path: Path,
) -> None:
    channel = _run_one(
        "-m",
        "torch.distributed.run",
        "--nproc-per-node=2",
        "--redirects=3",
        f"--log-dir={tmp_path}",
        str(SCRIPTS / "elastic.py"),
        code=1,
    )
    joins = channel.of("process_group_joined")
    assert sorted(each["rank"] for each in joins) == [0, 1]
    assert {each["rank_sum"] for each in joins} == {1}
    (failed,) = [each for each in channel.of("rank_failed") if each.get("rank") == 1]
    assert (failed["error_type"], failed["reason"]) == ("RuntimeError", "the second one fails")
    assert channel.of("interpreter_started")[0].get("rank") is None
    assert channel.of("probe_fault") == []


def test_spawned_ranks_report_as_themselves_and_one_join_each() -> None:
    channel = _run_one(str(SCRIPTS / "spawn.py"), str(free_port()), code=0)
    joins = sorted(channel.of("process_group_joined"), key=lambda each: each["rank"])
    assert joins == [_join(rank, joins[0]["peers"]) for rank in range(2)]
    assert len(channel.of("rendezvous_started")) == 4
    assert channel.of("probe_fault", "rank_failed") == []


def test_trainer_and_accelerate_are_told_as_what_they_do(tmp_path: Path) -> None:
    outcomes = run_ranks("hf_trainer.py", str(tmp_path), HF_HUB_OFFLINE="1")
    assert [each.code for each in outcomes] == [0, 0], outcomes[0].stderr
    for rank, outcome in enumerate(outcomes):
        assert _one(outcome.channel, "process_group_joined")["rank"] == rank
        assert _one(outcome.channel, "process_ended")["steps"] == 10
        assert outcome.channel.of("probe_fault", "stacks", "rank_failed") == []
    saved = [Path(each["path"]).name for each in outcomes[0].channel.of("checkpoint_saved")]
    assert {"model.safetensors", "optimizer.pt"} <= set(saved)


def test_a_compiled_step_is_counted_and_the_compiler_has_nothing_to_say_of_it() -> None:
    variables = rank_variables(0, free_port())
    with running(
        "-W", "always", str(SCRIPTS / "compiled.py"), torch=False, env=variables
    ) as program:
        _, stderr = program.process.communicate(timeout=DEADLINE_S)
    assert program.process.returncode == 0, stderr
    assert "perf_counter" not in stderr
    assert "orchestrate_probe" not in stderr
    assert _one(program.channel, "process_ended")["steps"] == 4


def _join(rank: int, peers: str) -> dict[str, Any]:
    return {
        "event": "process_group_joined",
        "rank": rank,
        "world_size": 2,
        "backend": "gloo",
        "master_addr": "127.0.0.1",
        "rank_sum": 1,
        "hostname": platform.node(),
        "peers": peers,
    }


def _one(channel: Channel, event: str) -> dict[str, Any]:
    (record,) = channel.of(event)
    return record


def _run_one(*command: str, code: int) -> Channel:
    """Run a program that starts its ranks by itself."""
    variables = rank_variables(0, free_port())
    env = {name: variables[name] for name in ("OMP_NUM_THREADS", "MASTER_ADDR", "MASTER_PORT")}
    with running(*command, torch=False, env=env) as program:
        _, stderr = program.process.communicate(timeout=DEADLINE_S)
    assert program.process.returncode == code, stderr
    return program.channel
