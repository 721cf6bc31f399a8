"""A run -> TensorBoard's event files, a folder for each rank, by tensorboardX.

tensorboardX writes the format alone, with numpy and protobuf, and is told times; the writer in
TensorBoard's own package brings a web server and gRPC along, the one in PyTorch needs PyTorch.
"""

from __future__ import annotations

import math
from array import array
from pathlib import Path
from typing import Any

from orchestrator.errors import FolderUnusable, UnusableSetting
from orchestrator.report.model import Lane, ReportModel


def write_tensorboard(folder: Path, model: ReportModel) -> tuple[Path, ...]:
    """Write what each rank has told; `tensorboard --logdir FOLDER` lays them over each other.

    Raises:
        UnusableSetting: tensorboardX is not installed.
        FolderUnusable: the folder cannot be written.
    """
    writer_class = _writer_class()
    written = []
    try:
        for lane in model.lanes:
            path = folder / f"rank-{lane.rank}"
            with writer_class(str(path)) as writer:
                _write_lane(writer, lane, model.began_at_s)
            written.append(path)
    except OSError as exc:
        raise FolderUnusable(
            f"event files cannot be written into {folder}: {exc.strerror}",
            fix="choose another --tensorboard",
        ) from exc
    return tuple(written)


def _writer_class() -> Any:
    try:
        from tensorboardX import SummaryWriter
    except ImportError as exc:
        raise UnusableSetting(
            "--tensorboard needs tensorboardX, which is not installed",
            fix="pip install 'orchestrate[tensorboard]'; or take --csv",
        ) from exc
    return SummaryWriter


def _write_lane(writer: Any, lane: Lane, began_at_s: float) -> None:
    told, steps = lane.told, lane.steps
    _write(writer, "loss", (told.number, told.at_s, told.loss), began_at_s)
    _write(writer, "tokens_per_s", (told.number, told.at_s, told.tokens_per_s), began_at_s)
    _write(writer, "step_time_s", (steps.number, steps.end_s, steps.took_s), began_at_s)
    _write(writer, "busy_s", (steps.number, steps.end_s, steps.busy_s), began_at_s)


def _write(
    writer: Any, tag: str, columns: tuple[array[int], array[float], array[float]], began_at_s: float
) -> None:
    for step, at_s, value in zip(*columns, strict=True):
        if not math.isnan(value):
            writer.add_scalar(tag, value, step, walltime=began_at_s + at_s)
