"""What goes wrong becomes one `rank_failed` record and a prompt exit that is not 0."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.trainer.trainer_runs import (
    SMALL,
    Finished,
    free_port,
    run,
    run_alone,
    run_command,
    start,
    start_rank,
)

pytestmark = pytest.mark.torch


def the_failure(done: Finished, rank: int = 0) -> dict[str, Any]:
    """The last record, without what differs from run to run."""
    failed = done.records[rank][-1]
    assert "Traceback" in failed["traceback"]
    assert failed["timestamp"].endswith("Z")
    left_out = ("traceback", "timestamp")
    return {key: value for key, value in failed.items() if key not in left_out}


def failure(error_type: str, what: str, fix: str, **identity: int | None) -> dict[str, Any]:
    return {
        "event": "rank_failed",
        "level": "error",
        "rank": 0,
        "world_size": 1,
        "run_id": None,
        "restart_count": 0,
        "error_type": error_type,
        "reason": f"{what}; {fix}",
        "fix": fix,
        **identity,
    }


def test_a_missing_data_file_fails_before_torch_is_imported() -> None:
    done = run_command(
        sys.executable, "-X", "importtime", "-m", "trainer", "--data", "absent/file.txt"
    )
    assert done.exit_codes == [1]
    assert [the_failure(done)] == [
        failure("DataError", "no such file: absent/file.txt", "give --data an existing file")
    ]
    imported = {line.split("|")[-1].strip() for line in done.stderr[0].splitlines()}
    assert {"structlog", "trainer.config"} <= imported
    assert not {"torch", "transformers", "trainer.group"} & imported


@pytest.mark.parametrize(
    ("flags", "what"),
    [
        (["--max-steps", "0"], "argument --max-steps: 0 is not between 1 and"),
        (["--max-steps", "x"], "argument --max-steps: 'x' is not a whole number"),
        (["--learning-rate", "nan"], "argument --learning-rate: nan is not between 0 and 1e+09"),
        (["--learning-rate", "inf"], "argument --learning-rate: inf is not between 0 and 1e+09"),
        (["--backend", "mpi"], "argument --backend: 'mpi' is not one of auto, gloo, nccl"),
        (["--stepz", "3"], "unrecognized arguments: --stepz 3"),
        (["--resume"], "--resume and --checkpoint-every need a --checkpoint-dir"),
        (["--max-steps", "5", "--warmup-steps", "5"], "--warmup-steps 5 leaves nothing of"),
    ],
)
def test_bad_arguments_are_a_record(flags: list[str], what: str) -> None:
    done = run_alone(*flags)
    assert done.exit_codes == [2]
    (failed,) = done.records[0]
    assert (failed["event"], failed["error_type"]) == ("rank_failed", "UsageError")
    assert failed["reason"].startswith(what)


def test_a_bad_value_in_the_environment_is_a_record() -> None:
    done = run_alone(ORCHESTRATE_RENDEZVOUS_TIMEOUT_S="soon", ORCHESTRATE_RUN_ID="r1")
    assert done.exit_codes == [2]
    assert the_failure(done) == {
        **failure(
            "UsageError",
            "argument --init-timeout-s: 'soon' is not a number",
            "see python -m trainer --help",
        ),
        "run_id": "r1",
    }


@pytest.mark.parametrize(
    ("env", "what", "fix", "rank", "world_size"),
    [
        (
            {"RANK": "1", "WORLD_SIZE": "2", "MASTER_PORT": "29500"},
            "env:// rendezvous: environment variable MASTER_ADDR expected, but not set",
            "set all of RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT, or none of them"
            " for a single process",
            1,
            2,
        ),
        (
            {"RANK": "2", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"},
            "RANK 2 with WORLD_SIZE 2",
            "ranks count from 0 to WORLD_SIZE - 1",
            2,
            2,
        ),
        (
            {"RANK": "a", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"},
            "RANK is 'a'",
            "it is a whole number from 0 up",
            None,
            2,
        ),
    ],
)
def test_wrong_rank_variables_are_a_record(
    env: dict[str, str], what: str, fix: str, rank: int | None, world_size: int
) -> None:
    done = run_alone(**env)
    assert done.exit_codes == [2]
    assert the_failure(done) == failure("UsageError", what, fix, rank=rank, world_size=world_size)


def test_a_peer_that_never_comes_fails_within_the_deadline() -> None:
    """The deadline comes from the environment, and is told from that of later collectives."""
    port = str(free_port())
    group = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    started = time.monotonic()
    done = run_alone(**group, ORCHESTRATE_RENDEZVOUS_TIMEOUT_S="2")
    assert time.monotonic() - started < 20
    assert done.exit_codes == [1]
    (failed,) = done.records[0]
    assert failed["error_type"] == "DistStoreError"
    assert re.match(
        r"Timed out after \d+ seconds waiting for clients\. 1/2 clients joined", failed["reason"]
    )


def test_backend_nccl_on_cpu_is_refused_whoever_asks_for_it() -> None:
    by_flag = run(1, "--device", "cpu", "--backend", "nccl", *SMALL)
    by_environment = run(1, "--device", "cpu", *SMALL, ORCHESTRATE_BACKEND="nccl")
    expected = failure(
        "UsageError", "backend nccl cannot carry tensors on cpu", "use --backend auto, or gloo"
    )
    assert the_failure(by_flag) == the_failure(by_environment) == expected
    overruled = run(1, "--device", "cpu", "--backend", "gloo", *SMALL, ORCHESTRATE_BACKEND="nccl")
    assert overruled.exit_codes == [0]


def test_a_rank_that_is_told_to_use_a_gpu_does_not_go_on_without_one() -> None:
    done = run(1, *SMALL, ORCHESTRATE_DEVICE="cuda", CUDA_VISIBLE_DEVICES="")
    assert done.exit_codes == [2]
    assert the_failure(done) == failure(
        "UsageError",
        "LOCAL_RANK 0, but 0 CUDA devices are visible",
        "start at most one rank for each visible GPU, see that torch is a CUDA build, or use "
        "--device cpu",
    )


def test_a_batch_that_does_not_divide_is_refused_on_every_rank() -> None:
    done = run(2, "--global-batch-size", "6", "--grad-accumulation", "2")
    assert done.exit_codes == [2, 2]
    for rank in range(2):
        assert the_failure(done, rank) == failure(
            "UsageError",
            "--global-batch-size 6 does not divide into 2 ranks of 2 micro-batches",
            "use a multiple of 4",
            rank=rank,
            world_size=2,
        )


@pytest.mark.parametrize("flag", ["--checkpoint-dir", "--export-dir"])
def test_a_place_that_cannot_be_written_is_named_before_the_first_step(
    tmp_path: Path, flag: str
) -> None:
    (tmp_path / "file").write_text("in the way")
    done = run(1, flag, str(tmp_path / "file" / "out"), *SMALL)
    assert done.exit_codes == [2]
    assert [record["event"] for record in done.records[0]] == [
        "process_group_joined",
        "rank_failed",
    ]
    assert the_failure(done)["reason"] == f"cannot make {tmp_path}/file/out: Not a directory"


def test_a_loss_that_is_not_finite_fails_every_rank_at_the_same_step() -> None:
    done = run(2, *SMALL, "--learning-rate", "1e9", "--warmup-steps", "0", "--max-grad-norm", "0")
    assert done.exit_codes == [1, 1]
    failures = [the_failure(done, rank) for rank in range(2)]
    assert [failed["error_type"] for failed in failures] == ["NonFiniteError"] * 2
    assert failures[0]["reason"] == failures[1]["reason"]
    assert " loss nan" in failures[0]["reason"] or "norm nan" in failures[0]["reason"]


def test_a_killed_peer_fails_the_others_at_once() -> None:
    running = start(2, *SMALL, "--max-steps", "100000")
    running.wait_for(0, lambda record: record["event"] == "step")
    running.processes[1].send_signal(signal.SIGKILL)
    started = time.monotonic()
    done = running.finish()
    assert time.monotonic() - started < 10  # of 600 that a collective would wait
    assert done.exit_codes == [1, -signal.SIGKILL]
    assert done.records[0][-1]["event"] == "rank_failed"
    assert "onnection" in done.records[0][-1]["reason"]


def listens(port: int) -> bool:
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    rows += [line.split() for line in Path("/proc/net/tcp6").read_text().splitlines()[1:]]
    return any(row[1].endswith(f":{port:04X}") and row[3] == "0A" for row in rows)


def test_sigterm_during_the_rendezvous_leaves_at_once() -> None:
    """While the main thread waits in C++, where a Python signal handler would not run."""
    port = free_port()
    running = start_rank(0, 2, port, *SMALL)
    deadline = time.monotonic() + 30
    while not listens(port):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    started = time.monotonic()
    running.processes[0].send_signal(signal.SIGTERM)
    done = running.finish()
    assert time.monotonic() - started < 10  # of 300 that the rendezvous would wait
    assert done.exit_codes == [143]
    (interrupted,) = done.records[0]
    del interrupted["timestamp"]
    assert interrupted == {
        "event": "training_interrupted",
        "level": "warning",
        "rank": 0,
        "world_size": 2,
        "run_id": None,
        "restart_count": 0,
        "signal": "SIGTERM",
        "step": None,
        "path": None,
        "reason": "",
    }


def test_a_rank_that_is_to_stop_and_loses_its_peer_was_interrupted_and_did_not_fail() -> None:
    """As when a gang is restarted: the peer is stopped hard while this one waits for it."""
    running = start(2, *SMALL, "--max-steps", "100000")
    running.wait_for(0, lambda record: record["event"] == "step")
    running.processes[1].send_signal(signal.SIGSTOP)
    running.processes[0].send_signal(signal.SIGTERM)
    running.wait_for(0, lambda record: record["event"] == "stop_requested")
    running.processes[1].send_signal(signal.SIGKILL)
    done = running.finish()
    assert done.exit_codes == [143, -signal.SIGKILL]
    asked, last = done.records[0][-2:]
    assert (asked["event"], asked["signal"]) == ("stop_requested", "SIGTERM")
    assert (last["event"], last["signal"], last["path"]) == (
        "training_interrupted",
        "SIGTERM",
        None,
    )
    assert "onnection" in last["reason"]


def test_a_rank_that_is_to_stop_still_fails_for_a_reason_of_its_own(tmp_path: Path) -> None:
    checkpoints = tmp_path / "checkpoints"
    running = start(1, *SMALL, "--max-steps", "100000", "--checkpoint-dir", str(checkpoints))
    running.wait_for(0, lambda record: record["event"] == "step")
    checkpoints.rmdir()
    checkpoints.touch()
    running.processes[0].send_signal(signal.SIGTERM)
    done = running.finish()
    assert done.exit_codes == [1]
    assert done.records[0][-1]["event"] == "rank_failed"
    assert done.records[0][-1]["error_type"] == "CheckpointError"


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("a.jsonl", '{"text": "x"}\n{"txt": 1}\n', ':2: not an object with a string under "text"'),
        ("b.jsonl", '{"text": "x"}\n\n{"text": \n', ":3: not JSON: "),
        ("c.txt", "short", " has 6 tokens, fewer than one sequence and its last target, 33; "),
    ],
)
def test_bad_data_names_its_place(tmp_path: Path, name: str, text: str, reason: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    done = run(1, "--data", str(path), *SMALL)
    assert done.exit_codes == [1]
    assert the_failure(done)["error_type"] == "DataError"
    assert the_failure(done)["reason"].startswith(f"{path}{reason}")


def test_bytes_that_are_not_utf_8_are_named(tmp_path: Path) -> None:
    path = tmp_path / "latin.txt"
    path.write_bytes(b"caf\xe9 " * 100)
    done = run(1, "--data", str(path), *SMALL)
    assert done.exit_codes == [1]
    assert the_failure(done)["reason"] == f"{path} is not UTF-8: byte 3: invalid continuation byte"


@pytest.mark.parametrize("name", ["./absent", "no-such-owner/no-such-model"])
def test_a_model_that_is_not_there_is_named(name: str) -> None:
    done = run(1, "--model", name, *SMALL)
    assert done.exit_codes == [1]
    assert the_failure(done)["error_type"] == "ModelError"
    assert name in the_failure(done)["reason"]


def test_a_directory_that_the_other_rank_does_not_see_is_named(tmp_path: Path) -> None:
    """Each rank in a mount namespace of its own, as in two containers without a shared mount."""
    inside = tmp_path / "checkpoints"
    inside.mkdir()
    script = f"mount -t tmpfs none {inside} && exec {sys.executable} -m trainer " + " ".join(
        ["--checkpoint-dir", str(inside), *SMALL]
    )
    argv = ["unshare", "--mount", "--map-root-user", "sh", "-c", script]
    if subprocess.run([*argv[:-1], "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine does not allow mount namespaces")
    port = str(free_port())
    env = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2"}
    ranks = [
        subprocess.Popen(argv, env={**env, "RANK": str(rank)}, stdout=subprocess.PIPE)
        for rank in range(2)
    ]
    out = [rank.communicate(timeout=120)[0] for rank in ranks]
    failed = json.loads(out[1].splitlines()[-1])
    assert [rank.returncode for rank in ranks] == [1, 1]
    assert failed["reason"] == (
        f"rank 1 does not see {inside}/.step-00000008.partial, which rank 0 made;"
        " mount one directory as --checkpoint-dir into all nodes"
    )
