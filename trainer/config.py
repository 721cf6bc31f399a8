"""Command line and environment -> Config. Standard library only: bad usage fails in 0.1 s."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from trainer.errors import DataError, UsageError

TINY = "tiny"
BUILTIN_CORPUS = Path(__file__).parent / "data" / "alice.txt"
DEFAULT_WARMUP_STEPS = 2
BACKENDS = ("auto", "gloo", "nccl")
DEVICES = ("auto", "cpu", "cuda")
# What torch calls a group that carries CUDA tensors by one of them; the CPU always has gloo.
TORCH_BACKENDS = {"cpu:gloo,cuda:gloo": "gloo", "cpu:gloo,cuda:nccl": "nccl"}


@dataclass(frozen=True, slots=True)
class GroupConfig:
    """How the process group forms and where tensors live."""

    device: str  # one of DEVICES
    backend: str  # one of BACKENDS
    init_timeout_s: float  # from the first connection to the end of the join
    collective_timeout_s: float  # any collective after the join
    gpu_memory_fraction: float = 1.0  # of the GPU's memory, for this rank


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """What is trained and how it is spread over the ranks."""

    name: str  # "tiny", a directory, or a hub name
    parallel: str  # fsdp | ddp
    precision: str  # fp32 | bf16
    activation_checkpointing: bool


@dataclass(frozen=True, slots=True)
class DataConfig:
    """Which text, and how much of it makes one optimizer step."""

    path: Path  # *.jsonl holds one {"text": ...} a line, anything else is one document
    sequence_length: int  # tokens
    global_batch_size: int  # sequences per optimizer step, over all ranks
    grad_accumulation: int  # micro-batches a rank splits its share of the step into


@dataclass(frozen=True, slots=True)
class OptimConfig:
    """AdamW, its learning-rate schedule and clipping."""

    learning_rate: float  # the peak
    warmup_steps: int
    decay: str  # cosine | linear | none
    min_lr_ratio: float  # what is left of the peak at the last step
    weight_decay: float  # matrices only
    max_grad_norm: float  # L2 over all parameters of all ranks; 0 turns clipping off


@dataclass(frozen=True, slots=True)
class OutputConfig:
    """What is written beside the records."""

    checkpoint_dir: Path | None
    checkpoint_every: int  # steps; 0 saves only at the end and on SIGTERM
    resume: bool
    export_dir: Path | None


@dataclass(frozen=True, slots=True)
class Config:
    """Everything one run is told."""

    max_steps: int
    seed: int
    group: GroupConfig
    model: ModelConfig
    data: DataConfig
    optim: OptimConfig
    output: OutputConfig


def parse_config(argv: Sequence[str], environ: Mapping[str, str]) -> Config:
    """Arguments, with ORCHESTRATE_BACKEND and ORCHESTRATE_RENDEZVOUS_TIMEOUT_S as defaults.

    Raises:
        UsageError: an argument or one of the two variables is not usable.
        DataError: the training text is not a file.
    """
    args = build_parser(environ).parse_args(argv)
    config = _config(args)
    _check(config)
    return config


def build_parser(environ: Mapping[str, str]) -> argparse.ArgumentParser:
    """The parser whose help is the reference of every flag."""
    parser = _Parser(
        prog="python -m trainer",
        description="Fine-tune a Qwen2 or Qwen3 language model, on one process or many.",
        epilog=_EPILOG,
        formatter_class=_HelpFormatter,
        allow_abbrev=False,
    )
    _add_run_flags(parser.add_argument_group("run"))
    _add_model_flags(parser.add_argument_group("model"))
    _add_data_flags(parser.add_argument_group("data"))
    _add_optim_flags(parser.add_argument_group("optimizer"))
    _add_output_flags(parser.add_argument_group("output"))
    _add_group_flags(parser.add_argument_group("process group"), environ)
    return parser


_EPILOG = """\
With none of RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT set, one process trains alone; with
all four it joins the others (LOCAL_RANK, default 0, picks the GPU). torchrun sets them itself:
    torchrun --nproc-per-node 2 -m trainer --max-steps 20
Records go to standard output, one JSON object a line; everything else to standard error.
Exit codes: 0 finished, 1 failed, 2 wrong usage, 143 SIGTERM, 130 SIGINT (checkpoint saved)."""


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Defaults in every line, the epilog as written."""


class _Parser(argparse.ArgumentParser):
    """Raises where argparse would print and exit: bad usage is a `rank_failed` record too."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, fix=f"see {self.prog} --help")


def _add_run_flags(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--max-steps", type=_at_least(1, 99_999_999), default=20, help="optimizer steps in all"
    )
    group.add_argument(
        "--seed", type=_at_least(0, 2**32 - 1), default=0, help="weights and order of the data"
    )


def _add_model_flags(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--model",
        default=TINY,
        help="directory or hub name of a Qwen2 or Qwen3 model, or 'tiny': built in, random weights",
    )
    group.add_argument(
        "--parallel", choices=("fsdp", "ddp"), default="fsdp", help="shard or replicate"
    )
    group.add_argument(
        "--precision",
        choices=("fp32", "bf16"),
        default="fp32",
        help="of forward and backward; weights and optimizer stay fp32",
    )
    group.add_argument(
        "--activation-checkpointing",
        action="store_true",
        help="recompute each layer in backward instead of keeping its activations",
    )


def _add_data_flags(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--data",
        type=Path,
        default=None,
        metavar="FILE",
        help='UTF-8 text, or *.jsonl with one {"text": ...} a line; None is the built-in prose',
    )
    group.add_argument(
        "--sequence-length", type=_at_least(1), default=128, help="tokens of one sequence"
    )
    group.add_argument(
        "--global-batch-size",
        type=_at_least(1),
        default=8,
        help="sequences of one optimizer step, over all ranks",
    )
    group.add_argument(
        "--grad-accumulation",
        type=_at_least(1),
        default=1,
        help="micro-batches into which a rank splits its share of a step",
    )


def _add_optim_flags(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--learning-rate", type=_real(0, open_low=True), default=1e-3, help="peak")
    group.add_argument(
        "--warmup-steps",
        type=_at_least(0),
        help=f"linear, from 0; default {DEFAULT_WARMUP_STEPS}, less in a shorter run",
    )
    group.add_argument(
        "--decay", choices=("cosine", "linear", "none"), default="cosine", help="after the warm-up"
    )
    group.add_argument(
        "--min-lr-ratio", type=_real(0, 1), default=0.1, help="part of the peak left at the end"
    )
    group.add_argument(
        "--weight-decay", type=_real(0), default=0.01, help="of AdamW, on matrices only"
    )
    group.add_argument(
        "--max-grad-norm", type=_real(0), default=1.0, help="clip the global norm; 0 turns it off"
    )


def _add_output_flags(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--checkpoint-dir",
        type=Path,
        default=None,
        metavar="DIR",
        help="sharded checkpoints, in a directory that all ranks see",
    )
    group.add_argument(
        "--checkpoint-every",
        type=_at_least(0),
        default=0,
        metavar="STEPS",
        help="0 saves only after the last step and on SIGTERM",
    )
    group.add_argument(
        "--resume",
        action="store_true",
        help="go on from the newest complete checkpoint, if there is one",
    )
    group.add_argument(
        "--export-dir",
        type=Path,
        default=None,
        metavar="DIR",
        help="at the end write the model here, as transformers' save_pretrained does",
    )


def _add_group_flags(group: argparse._ArgumentGroup, environ: Mapping[str, str]) -> None:
    group.add_argument(
        "--device",
        type=_device,
        default=environ.get("ORCHESTRATE_DEVICE") or "auto",
        help="auto, cpu or cuda; auto: cuda if there; also ORCHESTRATE_DEVICE",
    )
    group.add_argument(
        "--gpu-memory-fraction",
        type=_real(0, 1, open_low=True),
        default=environ.get("ORCHESTRATE_GPU_MEMORY_FRACTION") or "1",
        metavar="PART",
        help="of the GPU's memory that this rank may use; also ORCHESTRATE_GPU_MEMORY_FRACTION",
    )
    group.add_argument(
        "--backend",
        type=_backend,
        default=environ.get("ORCHESTRATE_BACKEND") or "auto",
        help="auto, gloo, nccl, or torch's cpu:gloo,cuda:gloo; auto: nccl on cuda, gloo on cpu;"
        " also ORCHESTRATE_BACKEND",
    )
    group.add_argument(
        "--init-timeout-s",
        type=_real(0, open_low=True),
        default=environ.get("ORCHESTRATE_RENDEZVOUS_TIMEOUT_S") or "300",
        metavar="SECONDS",
        help="for all ranks to join; also ORCHESTRATE_RENDEZVOUS_TIMEOUT_S",
    )
    group.add_argument(
        "--collective-timeout-s",
        type=_real(0, open_low=True),
        default="600",
        metavar="SECONDS",
        help="for one collective after the join; a rank that is silent for longer fails the others",
    )


def _backend(text: str) -> str:
    return _one_of(BACKENDS, TORCH_BACKENDS.get(text, text))


def _device(text: str) -> str:
    return _one_of(DEVICES, text)


def _one_of(choices: Sequence[str], text: str) -> str:
    if text not in choices:
        raise argparse.ArgumentTypeError(f"{text!r} is not one of {', '.join(choices)}")
    return text


def _at_least(low: int, high: int = 2**62) -> Callable[[str], int]:
    def whole_number(text: str) -> int:
        try:
            value = int(text)
        except ValueError as exc:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from exc
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{value} is not between {low} and {high}")
        return value

    return whole_number


def _real(low: float, high: float = 1e9, *, open_low: bool = False) -> Callable[[str], float]:
    """A number in [low, high], or (low, high]. The bound of 1e9 also keeps out NaN and inf."""

    def number(text: str) -> float:
        try:
            value = float(text)
        except ValueError as exc:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number") from exc
        if not low <= value <= high or (open_low and value == low):
            raise argparse.ArgumentTypeError(f"{text} is not between {low:g} and {high:g}")
        return value

    return number


def _config(args: argparse.Namespace) -> Config:
    return Config(
        max_steps=args.max_steps,
        seed=args.seed,
        group=GroupConfig(
            args.device,
            args.backend,
            args.init_timeout_s,
            args.collective_timeout_s,
            args.gpu_memory_fraction,
        ),
        model=ModelConfig(args.model, args.parallel, args.precision, args.activation_checkpointing),
        data=DataConfig(
            args.data or BUILTIN_CORPUS,
            args.sequence_length,
            args.global_batch_size,
            args.grad_accumulation,
        ),
        optim=OptimConfig(
            args.learning_rate,
            _warmup_steps(args.warmup_steps, args.max_steps),
            args.decay,
            args.min_lr_ratio,
            args.weight_decay,
            args.max_grad_norm,
        ),
        output=OutputConfig(
            args.checkpoint_dir, args.checkpoint_every, args.resume, args.export_dir
        ),
    )


def _warmup_steps(asked: int | None, max_steps: int) -> int:
    """The number asked for; else the default, as far as a short run leaves a step to decay."""
    return min(DEFAULT_WARMUP_STEPS, max_steps - 1) if asked is None else asked


def _check(config: Config) -> None:
    if not config.data.path.is_file():
        raise DataError(f"no such file: {config.data.path}", fix="give --data an existing file")
    if config.optim.warmup_steps >= config.max_steps and config.optim.decay != "none":
        raise UsageError(
            f"--warmup-steps {config.optim.warmup_steps} leaves nothing of --max-steps"
            f" {config.max_steps} to decay",
            fix="lower --warmup-steps or use --decay none",
        )
    output = config.output
    if output.checkpoint_dir is None and (output.resume or output.checkpoint_every):
        raise UsageError("--resume and --checkpoint-every need a --checkpoint-dir")
