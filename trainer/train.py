"""The training loop, from the loaded model to the last record."""

from __future__ import annotations

import math
import os
import signal
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist
import torch.nn.functional as F  # noqa: N812 - the name that every torch program gives it
from structlog.typing import FilteringBoundLogger
from torch import Tensor, nn
from torch.optim import Optimizer

from trainer import checkpoint
from trainer.checkpoint import Progress, Recipe
from trainer.config import Config, OutputConfig
from trainer.dataset import Blocks, load_blocks
from trainer.errors import CheckpointError, ModelError, NonFiniteError, UsageError
from trainer.export import export, make_skeleton
from trainer.group import Rank
from trainer.model import count_parameters, load_model
from trainer.optim import clip, learning_rate, make_optimizer, set_learning_rate, squared_norm
from trainer.parallel import forward_precision, gradient_sync, spread
from trainer.signals import StopRequest, exit_code, log_interruption

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True, slots=True)
class Job:
    """What the steps work on."""

    config: Config
    rank: Rank
    model: nn.Module
    optimizer: Optimizer
    blocks: Blocks
    recipe: Recipe


@dataclass(frozen=True, slots=True)
class StepResult:
    """One optimizer step, equal on all ranks but for the time."""

    loss: float  # mean over the tokens of the global batch, before the update
    grad_norm: float  # L2, before clipping
    learning_rate: float
    time_s: float
    stop: bool  # a rank was asked to stop


def train(config: Config, rank: Rank, log: FilteringBoundLogger, stop: StopRequest) -> int:
    """Train to max_steps, or to a signal; returns the exit code.

    Raises:
        TrainerError: data, model, checkpoint or arguments are not usable, or the loss is not
            finite.
    """
    _check_batch(config, rank)
    if rank.rank == 0:
        _make_directories(config.output)
    _make_deterministic()
    model, tokenizer = load_model(config.model, config.seed)
    skeleton = make_skeleton(model)
    job = _make_job(config, rank, model, load_blocks(config.data, tokenizer, config.seed))
    progress = _resume(job, log)
    _log_start(job, log)
    stop.defer()
    progress, interrupted = _train_steps(job, progress, log, stop)
    if interrupted:
        return _log_interruption(job, progress, log, stop)
    if config.output.export_dir is not None:
        export(job.model, skeleton, tokenizer, config.output.export_dir, rank)
        log.info("model_exported", path=str(config.output.export_dir))
    log.info("training_finished", steps=progress.step, loss=progress.loss)
    return 0


def _check_batch(config: Config, rank: Rank) -> None:
    parts = rank.world_size * config.data.grad_accumulation
    if config.data.global_batch_size % parts:
        raise UsageError(
            f"--global-batch-size {config.data.global_batch_size} does not divide into"
            f" {rank.world_size} ranks of {config.data.grad_accumulation} micro-batches",
            fix=f"use a multiple of {parts}",
        )


def _make_directories(output: OutputConfig) -> None:
    """Find out before the first step, not after the last, that there is no place to write to."""
    for directory in (output.checkpoint_dir, output.export_dir):
        if directory is None:
            continue
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise UsageError(f"cannot make {directory}: {exc.strerror}") from exc
        if not os.access(directory, os.W_OK):
            raise UsageError(
                f"cannot write to {directory}", fix=f"make it writable for user {os.getuid()}"
            )


def _make_deterministic() -> None:
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS reads it at first use
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Meant for finding reads of uninitialised memory; it costs time and changes no result here.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def _make_job(config: Config, rank: Rank, model: PreTrainedModel, blocks: Blocks) -> Job:
    largest = int(blocks.tokens.max())
    if largest >= model.config.vocab_size:
        raise ModelError(
            f"the tokenizer gives id {largest}, the model has {model.config.vocab_size}",
            fix="use the tokenizer that the model was made with",
        )
    recipe = Recipe(
        seed=config.seed,
        sequence_length=config.data.sequence_length,
        global_batch_size=config.data.global_batch_size,
        data_sha256=blocks.sha256(),
        parameters=count_parameters(model),
    )
    module = spread(model, config.model, rank)
    return Job(config, rank, module, make_optimizer(module, config.optim), blocks, recipe)


def _resume(job: Job, log: FilteringBoundLogger) -> Progress:
    """Where training starts: a checkpoint's progress where one is asked for and there, or 0."""
    output = job.config.output
    if output.checkpoint_dir is not None:
        latest = checkpoint.find_latest(output.checkpoint_dir)
        if latest is not None and not output.resume:
            raise CheckpointError(
                f"{output.checkpoint_dir} already holds {latest.name}",
                fix="give --resume to continue from it, or another --checkpoint-dir",
            )
        if latest is not None:
            saved = checkpoint.load(latest, job.recipe, job.model, job.optimizer)
            log.info(
                "training_resumed",
                step=saved.step,
                path=str(latest),
                saved_world_size=saved.world_size,
                saved_parallel=saved.parallel,
            )
            return replace(
                saved, world_size=job.rank.world_size, parallel=job.config.model.parallel
            )
    return Progress(0, None, job.rank.world_size, job.config.model.parallel, job.recipe)


def _train_steps(
    job: Job, progress: Progress, log: FilteringBoundLogger, stop: StopRequest
) -> tuple[Progress, bool]:
    """Steps until max_steps or until any rank is asked to stop: then True, on all ranks alike."""
    max_steps = job.config.max_steps
    for step in range(progress.step + 1, max_steps + 1):
        result = _run_step(job, step, stop_here=stop.pending is not None)
        progress = replace(progress, step=step, loss=result.loss)
        _log_step(job, step, result, log)
        _save_if_due(job, progress, log, asked_to_stop=result.stop)
        if result.stop and step < max_steps:
            return progress, True
    return progress, False


def _run_step(job: Job, step: int, *, stop_here: bool) -> StepResult:
    started_s = time.perf_counter()
    rate = learning_rate(step, job.config.max_steps, job.config.optim)
    set_learning_rate(job.optimizer, rate)
    checkpoint.seed_step(job.config.seed, step, job.rank.rank)
    job.optimizer.zero_grad()
    local_loss = _accumulate_gradients(job, step)
    loss, norm, stop = _reduce(job, local_loss, stop_here=stop_here)
    if not (math.isfinite(loss) and math.isfinite(norm)):
        raise NonFiniteError(
            f"step {step}: loss {loss}, gradient norm {norm}",
            fix="lower --learning-rate, lengthen --warmup-steps, or look at the data",
        )
    clip(job.model, norm, job.config.optim.max_grad_norm)
    job.optimizer.step()
    return StepResult(loss, norm, rate, time.perf_counter() - started_s, stop)


def _accumulate_gradients(job: Job, step: int) -> Tensor:
    """Backward over this rank's part of the global batch; returns its part of the mean loss.

    The rows of a step are cut into ranks first and micro-batches second, and every micro-batch is
    divided by the tokens of the whole step, so neither number changes the gradient.
    """
    data, world_size = job.config.data, job.rank.world_size
    tokens = data.global_batch_size * data.sequence_length
    share = data.global_batch_size // world_size
    size = share // data.grad_accumulation
    first = (step - 1) * data.global_batch_size + job.rank.rank * share
    loss = torch.zeros((), dtype=torch.float64, device=job.rank.device)
    for start in range(first, first + share, size):
        with gradient_sync(job.model, enabled=start + size == first + share):
            part = _loss_sum(job, start, start + size) / tokens
            # FSDP2 and DDP average over the ranks, the loss is a sum over them.
            (part * world_size).backward()  # type: ignore[no-untyped-call]
        loss += part.detach()
    return loss


def _loss_sum(job: Job, start: int, stop: int) -> Tensor:
    """Summed cross-entropy in fp32 of samples start..stop-1."""
    inputs, targets = (rows.to(job.rank.device) for rows in job.blocks.rows(start, stop))
    with forward_precision(job.config.model, job.rank):
        logits = job.model(input_ids=inputs, use_cache=False).logits
    return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), reduction="sum")


def _reduce(job: Job, local_loss: Tensor, *, stop_here: bool) -> tuple[float, float, bool]:
    """Loss, gradient norm and the wish to stop over all ranks, in one collective.

    After it every rank knows the same, so all of them stop, save or fail at the same step.
    """
    # Under DDP every rank holds all gradients, so one of them speaks for all.
    counts = job.config.model.parallel == "fsdp" or job.rank.rank == 0
    squares = squared_norm(job.model) if counts else torch.zeros_like(local_loss)
    wish = torch.full_like(local_loss, float(stop_here))
    total = torch.stack([local_loss, squares, wish])
    dist.all_reduce(total)
    loss, squares_sum, wishes = total.tolist()
    return loss, math.sqrt(squares_sum), wishes > 0


def _save_if_due(
    job: Job, progress: Progress, log: FilteringBoundLogger, *, asked_to_stop: bool
) -> None:
    output = job.config.output
    every = output.checkpoint_every
    last = asked_to_stop or progress.step == job.config.max_steps
    if output.checkpoint_dir is not None and (last or (every and progress.step % every == 0)):
        path = checkpoint.save(output.checkpoint_dir, progress, job.model, job.optimizer)
        log.info("checkpoint_saved", step=progress.step, path=str(path))


def _log_start(job: Job, log: FilteringBoundLogger) -> None:
    config = job.config
    log.info(
        "training_started",
        model=config.model.name,
        parameters=job.recipe.parameters,
        parallel=config.model.parallel,
        precision=config.model.precision,
        device=str(job.rank.device),
        max_steps=config.max_steps,
        seed=config.seed,
        global_batch_size=config.data.global_batch_size,
        grad_accumulation=config.data.grad_accumulation,
        sequence_length=config.data.sequence_length,
        data=str(config.data.path),
        data_tokens=len(job.blocks.tokens),
    )


def _log_step(job: Job, step: int, result: StepResult, log: FilteringBoundLogger) -> None:
    tokens = job.config.data.global_batch_size * job.config.data.sequence_length
    log.info(
        "step",
        step=step,
        loss=result.loss,
        grad_norm=result.grad_norm,
        lr=result.learning_rate,
        tokens_per_s=tokens / result.time_s,
        step_time_s=result.time_s,
    )


def _log_interruption(
    job: Job, progress: Progress, log: FilteringBoundLogger, stop: StopRequest
) -> int:
    # A rank that was not signalled itself stops with those that were, and says so the same way.
    received = stop.pending or signal.SIGTERM
    directory = job.config.output.checkpoint_dir
    path = checkpoint.path_of(directory, progress.step) if directory is not None else None
    log_interruption(log, received, step=progress.step, path=path)
    return exit_code(received)
