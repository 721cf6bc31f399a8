"""The promise: same seed and same global batch, same loss per step, whatever the world."""

from __future__ import annotations

import pytest

from tests.trainer.trainer_runs import SMALL, cached_run, largest_difference, run, run_alone

pytestmark = pytest.mark.torch

STEPS = list(range(1, 9))
TOLERANCE = 1e-5


def reference() -> dict[int, float]:
    losses = cached_run(1, "--parallel", "fsdp", *SMALL).losses()
    assert list(losses) == STEPS
    # Not a constant: eight steps on real prose must teach even a tiny model something.
    assert losses[8] < losses[1] - 0.5
    return losses


@pytest.mark.parametrize(
    ("world_size", "parallel"), [(2, "fsdp"), (4, "fsdp"), (1, "ddp"), (2, "ddp"), (4, "ddp")]
)
def test_losses_do_not_depend_on_the_world(world_size: int, parallel: str) -> None:
    done = cached_run(world_size, "--parallel", parallel, *SMALL)
    assert done.exit_codes == [0] * world_size
    for rank in range(world_size):
        assert done.losses(rank) == done.losses(0)
    assert largest_difference(done.losses(), reference()) <= TOLERANCE


def test_losses_do_not_depend_on_what_gloo_is_called() -> None:
    """The name by which ranks that share a GPU are told of it, on a CPU."""
    done = run(2, *SMALL, ORCHESTRATE_BACKEND="cpu:gloo,cuda:gloo")
    assert done.exit_codes == [0, 0]
    assert [done.one("process_group_joined", rank)["backend"] for rank in range(2)] == ["gloo"] * 2
    assert largest_difference(done.losses(), reference()) <= TOLERANCE


@pytest.mark.parametrize(
    ("world_size", "parallel", "parts"), [(2, "fsdp", "2"), (2, "ddp", "4"), (1, "fsdp", "8")]
)
def test_losses_do_not_depend_on_accumulation(world_size: int, parallel: str, parts: str) -> None:
    done = cached_run(world_size, "--parallel", parallel, "--grad-accumulation", parts, *SMALL)
    assert done.exit_codes == [0] * world_size
    assert largest_difference(done.losses(), reference()) <= TOLERANCE


def test_clipping_uses_the_norm_over_all_ranks() -> None:
    """The norms are the same in every world, and clipping to far below them changes the run."""
    flags = ("--max-grad-norm", "0.01", "--learning-rate", "0.01", *SMALL)
    one, two = cached_run(1, *flags), cached_run(2, *flags)
    norms = [
        {r["step"]: r["grad_norm"] for r in done.records[0] if r["event"] == "step"}
        for done in (one, two)
    ]
    assert min(norms[0].values()) > 0.01
    assert largest_difference(norms[0], norms[1]) <= TOLERANCE
    assert largest_difference(one.losses(), two.losses()) <= TOLERANCE


def test_activation_checkpointing_changes_no_loss() -> None:
    done = cached_run(2, "--activation-checkpointing", *SMALL)
    assert done.exit_codes == [0, 0]
    assert largest_difference(done.losses(), reference()) <= TOLERANCE


@pytest.mark.parametrize("parallel", ["fsdp", "ddp"])
def test_bf16_trains_and_is_not_fp32(parallel: str) -> None:
    done = cached_run(
        2, "--parallel", parallel, "--precision", "bf16", "--activation-checkpointing", *SMALL
    )
    assert done.exit_codes == [0, 0]
    assert 1e-6 < largest_difference(done.losses(), reference()) < 0.05


def test_one_process_without_rank_variables_is_a_world_of_one() -> None:
    done = run_alone(*SMALL)
    assert done.exit_codes == [0]
    assert done.losses() == reference()


def test_the_seed_changes_the_run() -> None:
    done = cached_run(1, "--seed", "1", *SMALL)
    assert done.exit_codes == [0]
    assert largest_difference(done.losses(), reference()) > 0.01
