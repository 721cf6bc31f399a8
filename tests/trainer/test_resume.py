"""Checkpoints: what was saved is continued exactly, by another world too, and never half."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from tests.trainer.trainer_runs import SMALL, Finished, cached_run, largest_difference, run, start

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Finished]:
    """Eight steps of two FSDP ranks, saved at 3, 6 and the end."""
    root = tmp_path_factory.mktemp("saved")
    done = run(2, "--checkpoint-dir", str(root), "--checkpoint-every", "3", *SMALL)
    assert done.exit_codes == [0, 0]
    return root, done


def copy_until(source: Path, target: Path, step: int) -> None:
    for path in source.iterdir():
        if int(path.name.removeprefix("step-")) <= step:
            shutil.copytree(path, target / path.name)


def test_a_checkpoint_is_a_complete_directory(saved: tuple[Path, Finished]) -> None:
    root, done = saved
    names = sorted(path.name for path in root.iterdir())
    assert names == ["step-00000003", "step-00000006", "step-00000008"]
    progress = json.loads((root / "step-00000006" / "progress.json").read_text())
    digest = progress["recipe"].pop("data_sha256")
    assert len(digest) == 64
    assert progress == {
        "step": 6,
        "loss": done.losses()[6],
        "world_size": 2,
        "parallel": "fsdp",
        "recipe": {
            "seed": 0,
            "sequence_length": 32,
            "global_batch_size": 8,
            "parameters": 820992,
        },
    }


def test_saving_does_not_change_the_run(saved: tuple[Path, Finished]) -> None:
    assert saved[1].losses() == cached_run(2, "--parallel", "fsdp", *SMALL).losses()


def test_resume_continues_the_exact_curve(saved: tuple[Path, Finished], tmp_path: Path) -> None:
    root, whole = saved
    copy_until(root, tmp_path, 3)
    done = run(2, "--checkpoint-dir", str(tmp_path), "--resume", *SMALL)
    assert done.exit_codes == [0, 0]
    expected = {step: loss for step, loss in whole.losses().items() if step > 3}
    for rank in range(2):
        assert done.losses(rank) == expected
    resumed = done.one("training_resumed")
    assert (resumed["step"], resumed["path"]) == (3, str(tmp_path / "step-00000003"))


@pytest.mark.parametrize(
    ("world_size", "parallel"), [(1, "fsdp"), (4, "fsdp"), (1, "ddp"), (2, "ddp")]
)
def test_another_world_resumes_the_curve(
    saved: tuple[Path, Finished], tmp_path: Path, world_size: int, parallel: str
) -> None:
    root, whole = saved
    copy_until(root, tmp_path, 6)
    done = run(
        world_size, "--parallel", parallel, "--checkpoint-dir", str(tmp_path), "--resume", *SMALL
    )
    assert done.exit_codes == [0] * world_size
    expected = {step: loss for step, loss in whole.losses().items() if step > 6}
    assert largest_difference(done.losses(), expected) <= 1e-5


def test_a_ddp_checkpoint_resumes_under_fsdp(saved: tuple[Path, Finished], tmp_path: Path) -> None:
    flags = ("--checkpoint-dir", str(tmp_path), *SMALL)
    first = run(2, "--parallel", "ddp", "--checkpoint-every", "4", *flags)
    assert first.exit_codes == [0, 0]
    shutil.rmtree(tmp_path / "step-00000008")
    done = run(2, "--resume", *flags)
    expected = {step: loss for step, loss in saved[1].losses().items() if step > 4}
    assert largest_difference(done.losses(), expected) <= 1e-5


def test_half_written_checkpoints_are_not_seen(
    saved: tuple[Path, Finished], tmp_path: Path
) -> None:
    root, whole = saved
    copy_until(root, tmp_path, 6)
    # A rank killed while it wrote leaves the first; the second is what no writer leaves behind.
    shutil.copytree(root / "step-00000008", tmp_path / ".step-00000007.partial")
    (tmp_path / "step-00000007").mkdir()
    done = run(1, "--checkpoint-dir", str(tmp_path), "--resume", *SMALL)
    assert done.one("training_resumed")["step"] == 6
    expected = {step: loss for step, loss in whole.losses().items() if step > 6}
    assert largest_difference(done.losses(), expected) <= 1e-5


@pytest.mark.parametrize("kept", [0, 1000])
def test_a_damaged_checkpoint_is_named(
    saved: tuple[Path, Finished], tmp_path: Path, kept: int
) -> None:
    copy_until(saved[0], tmp_path, 3)
    shard = tmp_path / "step-00000003" / "__1_0.distcp"
    os.truncate(shard, kept)
    done = run(2, "--checkpoint-dir", str(tmp_path), "--resume", *SMALL)
    assert done.exit_codes == [1, 1]
    failed = done.one("rank_failed")
    assert failed["error_type"] == "CheckpointError"
    assert failed["reason"].startswith(f"cannot read {tmp_path}/step-00000003: ")


def test_a_finished_run_has_nothing_left_to_do(saved: tuple[Path, Finished]) -> None:
    root, whole = saved
    done = run(2, "--checkpoint-dir", str(root), "--resume", *SMALL)
    assert done.exit_codes == [0, 0]
    assert done.losses() == {}
    finished = done.one("training_finished")
    assert (finished["steps"], finished["loss"]) == (8, whole.losses()[8])


def test_a_run_without_resume_does_not_touch_older_checkpoints(
    saved: tuple[Path, Finished],
) -> None:
    root, _ = saved
    done = run(2, "--checkpoint-dir", str(root), *SMALL)
    assert done.exit_codes == [1, 1]
    failed = done.one("rank_failed", 1)
    assert failed["error_type"] == "CheckpointError"
    assert failed["reason"] == (
        f"{root} already holds step-00000008;"
        " give --resume to continue from it, or another --checkpoint-dir"
    )


def test_another_recipe_is_refused(saved: tuple[Path, Finished]) -> None:
    root, _ = saved
    flags = ("--checkpoint-dir", str(root), "--resume", "--sequence-length", "16")
    done = run(1, *flags, "--seed", "7", "--global-batch-size", "8")
    assert done.exit_codes == [1]
    assert done.one("rank_failed")["reason"] == (
        f"{root / 'step-00000008'} does not continue this run: seed was 0, is 7,"
        " sequence_length was 32, is 16;"
        " use the same flags and data, or start anew in another --checkpoint-dir"
    )


def test_resume_without_a_checkpoint_starts_at_the_beginning(tmp_path: Path) -> None:
    done = run(2, "--checkpoint-dir", str(tmp_path / "new"), "--resume", *SMALL)
    assert done.exit_codes == [0, 0]
    assert done.losses() == cached_run(2, "--parallel", "fsdp", *SMALL).losses()


@pytest.mark.parametrize("signalled", [(0, 1), (1,)])
def test_sigterm_saves_the_step_on_all_ranks_and_the_curve_goes_on(
    tmp_path: Path, signalled: tuple[int, ...]
) -> None:
    # A constant rate after the warm-up: so the two runs may differ in --max-steps.
    flags = ("--decay", "none", "--sequence-length", "32", "--global-batch-size", "8")
    where = ("--checkpoint-dir", str(tmp_path))
    running = start(2, *flags, *where, "--max-steps", "100000")
    running.wait_for(0, lambda record: record["event"] == "step" and record["step"] == 3)
    for rank in signalled:
        running.processes[rank].send_signal(signal.SIGTERM)
    stopped = running.finish()
    assert stopped.exit_codes == [143, 143]
    last = max(stopped.losses())
    assert last >= 3
    for rank in range(2):
        interrupted = stopped.one("training_interrupted", rank)
        assert interrupted["signal"] == "SIGTERM"
        assert interrupted["step"] == last
        assert interrupted["path"] == str(tmp_path / f"step-{last:08}")
        assert max(stopped.losses(rank)) == last
    steps = ("--max-steps", str(last + 3))
    resumed = run(2, *flags, *where, *steps, "--resume")
    whole = run(2, *flags, *steps)
    assert whole.exit_codes == resumed.exit_codes == [0, 0]
    assert {**stopped.losses(), **resumed.losses()} == whole.losses()
