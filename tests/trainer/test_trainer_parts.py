"""The pure parts: the schedule, the order of the data, the byte tokenizer, the command line."""

from __future__ import annotations

import ctypes
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.cuda_driver import OldDriver, StandInDriver, missing
from tests.trainer.trainer_runs import run_script
from trainer.config import (
    BUILTIN_CORPUS,
    Config,
    DataConfig,
    GroupConfig,
    ModelConfig,
    OptimConfig,
    OutputConfig,
    parse_config,
)
from trainer.errors import UsageError

dataset = pytest.importorskip("trainer.dataset")  # these import torch
gpu = pytest.importorskip("trainer.gpu")
group = pytest.importorskip("trainer.group")
optim = pytest.importorskip("trainer.optim")
tokenizer = pytest.importorskip("trainer.tokenizer")

pytestmark = pytest.mark.torch

OPTIM = OptimConfig(1.0, 2, "linear", 0.2, weight_decay=0.0, max_grad_norm=1.0)
LINE = b"All in the golden afternoon"


def test_linear_decay_from_the_peak_to_the_ratio() -> None:
    rates = [optim.learning_rate(step, 6, OPTIM) for step in range(1, 7)]
    assert rates == pytest.approx([0.5, 1.0, 0.8, 0.6, 0.4, 0.2])


def test_cosine_decay_from_the_peak_to_the_ratio() -> None:
    config = replace(OPTIM, decay="cosine")
    rates = [optim.learning_rate(step, 6, config) for step in range(1, 7)]
    part = [0.2 + 0.4 * (1 + math.cos(math.pi * done)) for done in (0.25, 0.5, 0.75, 1.0)]
    assert rates == pytest.approx([0.5, 1.0, *part])


def test_no_decay_holds_the_peak_and_no_warmup_starts_at_it() -> None:
    config = replace(OPTIM, decay="none", warmup_steps=0)
    assert [optim.learning_rate(step, 3, config) for step in range(1, 4)] == [1.0, 1.0, 1.0]


def blocks_of_three(tmp_path: Path) -> Any:
    path = tmp_path / "text.txt"
    path.write_bytes(LINE)
    config = DataConfig(path, sequence_length=3, global_batch_size=1, grad_accumulation=1)
    return dataset.load_blocks(config, tokenizer.ByteTokenizer(), 5)


def test_an_epoch_predicts_every_token_once(tmp_path: Path) -> None:
    """27 bytes and the end make 28 tokens: the 27 that have one before them, nine times three."""
    blocks = blocks_of_three(tmp_path)
    assert len(blocks) == 9
    inputs, targets = blocks.rows(0, 9)
    assert inputs.shape == targets.shape == (9, 3)
    assert inputs[:, 1:].tolist() == targets[:, :-1].tolist()
    expected = [byte + 3 for byte in LINE[1:]] + [1]
    assert sorted(targets.flatten().tolist()) == sorted(expected)


def test_rows_are_a_stream_that_can_be_cut_anywhere(tmp_path: Path) -> None:
    rows = blocks_of_three(tmp_path).rows
    whole = rows(5, 23)[0].tolist()
    assert rows(5, 11)[0].tolist() + rows(11, 23)[0].tolist() == whole
    first, second = rows(0, 9)[0].tolist(), rows(9, 18)[0].tolist()
    assert first != second
    assert sorted(first) == sorted(second)


TRANSFORMERS_BYTES = """
import json, sys
from transformers import ByT5Tokenizer
tokenizer = ByT5Tokenizer(extra_ids=0)
ids = tokenizer.encode(sys.argv[1], add_special_tokens=False)
print(json.dumps([ids, tokenizer.eos_token_id, len(tokenizer)]))
"""


def test_the_byte_tokenizer_numbers_bytes_as_transformers_does() -> None:
    text = "Straße, 東京, 🐇"
    mine = tokenizer.ByteTokenizer()
    expected = json.loads(run_script(TRANSFORMERS_BYTES, text))
    assert [mine.encode(text), mine.end_id, mine.vocabulary_size] == expected


def test_no_flags_mean_these_defaults() -> None:
    assert parse_config([], {}) == Config(
        max_steps=20,
        seed=0,
        group=GroupConfig("auto", "auto", init_timeout_s=300.0, collective_timeout_s=600.0),
        model=ModelConfig("tiny", "fsdp", "fp32", activation_checkpointing=False),
        data=DataConfig(
            BUILTIN_CORPUS, sequence_length=128, global_batch_size=8, grad_accumulation=1
        ),
        optim=OptimConfig(0.001, 2, "cosine", 0.1, weight_decay=0.01, max_grad_norm=1.0),
        output=OutputConfig(None, checkpoint_every=0, resume=False, export_dir=None),
    )


def test_what_a_gpu_mode_sets_is_read() -> None:
    environ = {
        "ORCHESTRATE_BACKEND": "cpu:gloo,cuda:gloo",
        "ORCHESTRATE_DEVICE": "cuda",
        "ORCHESTRATE_GPU_MEMORY_FRACTION": "0.45",
    }
    assert parse_config((), environ).group == GroupConfig("cuda", "gloo", 300.0, 600.0, 0.45)


@pytest.mark.parametrize(
    "environ",
    [
        {"ORCHESTRATE_DEVICE": "tpu"},
        {"ORCHESTRATE_BACKEND": "cuda:gloo"},
        {"ORCHESTRATE_GPU_MEMORY_FRACTION": "0"},
        {"ORCHESTRATE_GPU_MEMORY_FRACTION": "1.5"},
    ],
)
def test_what_a_gpu_mode_would_not_set_is_refused(environ: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        parse_config((), environ)


class StandInCuda:
    """The part of torch.cuda that a rank's place on a GPU takes, on a machine without one."""

    def __init__(self, num_gpus: int) -> None:
        self.num_gpus = num_gpus
        self.calls: list[tuple[object, ...]] = []

    def is_available(self) -> bool:
        return self.num_gpus > 0

    def device_count(self) -> int:
        return self.num_gpus

    def set_device(self, device: object) -> None:
        self.calls.append(("set_device", str(device)))

    def set_per_process_memory_fraction(self, fraction: float, device: object) -> None:
        self.calls.append(("set_per_process_memory_fraction", fraction, str(device)))

    def get_device_properties(self, device: object) -> SimpleNamespace:
        return SimpleNamespace(uuid=f"uuid-of-{device}")


@pytest.mark.parametrize(
    ("fraction", "limits"),
    [(0.45, [("set_per_process_memory_fraction", 0.45, "cuda:1")]), (1.0, [])],
)
def test_local_rank_picks_the_gpu_and_its_part_of_the_memory(
    monkeypatch: pytest.MonkeyPatch, fraction: float, limits: list[tuple[object, ...]]
) -> None:
    cuda = StandInCuda(2)
    monkeypatch.setattr(group.torch, "cuda", cuda)
    device = group._choose_device("auto", 1)
    group._limit_memory(fraction, device)
    assert cuda.calls == [("set_device", "cuda:1"), *limits]
    assert gpu.gpu_uuid(device, {}) == "GPU-uuid-of-cuda:1"
    assert group._choose_backend("gloo", device) == "gloo"
    assert group._TORCH_BACKEND["cuda", "gloo"] == "cpu:gloo,cuda:gloo"


SLICE = "c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f"


@pytest.mark.parametrize(
    ("library", "told"),
    [
        (lambda _: StandInDriver(SLICE), f"MIG-{SLICE}"),
        (lambda _: StandInDriver(), None),
        (lambda _: OldDriver(), None),
        (missing, None),
    ],
    ids=["tells", "fails", "is too old", "is missing"],
)
def test_a_slice_is_asked_of_the_driver(
    monkeypatch: pytest.MonkeyPatch, library: Callable[[str], object], told: str | None
) -> None:
    monkeypatch.setattr(ctypes, "CDLL", library)
    assert gpu.gpu_uuid(gpu.torch.device("cuda", 0), {"ORCHESTRATE_GPU_MODE": "mig"}) == told


def test_the_cpu_has_no_gpu_to_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = StandInCuda(0)
    monkeypatch.setattr(group.torch, "cuda", cuda)
    device = group._choose_device("auto", 0)
    group._limit_memory(0.5, device)
    assert (str(device), cuda.calls, gpu.gpu_uuid(device, {})) == ("cpu", [], None)


BACKEND_AS_TOLD = """
import sys, torch, torch.distributed as dist
dist.init_process_group(sys.argv[1], store=dist.HashStore(), rank=0, world_size=1)
total = torch.tensor([3.0])
dist.all_reduce(total)
print(dist.get_backend(), total.item())
"""


def test_torch_knows_the_backend_as_orchestrate_calls_it() -> None:
    """A script that hands on ORCHESTRATE_BACKEND as it is works, on a CPU too."""
    told = "cpu:gloo,cuda:gloo"
    assert run_script(BACKEND_AS_TOLD, told).split() == [told, "3.0"]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [((), ("gloo", 7.5)), (("--backend", "nccl", "--init-timeout-s", "9"), ("nccl", 9.0))],
)
def test_flags_win_over_the_environment(
    flags: tuple[str, ...], expected: tuple[str, float]
) -> None:
    environ = {"ORCHESTRATE_BACKEND": "gloo", "ORCHESTRATE_RENDEZVOUS_TIMEOUT_S": "7.5"}
    group = parse_config(flags, environ).group
    assert (group.backend, group.init_timeout_s) == expected
