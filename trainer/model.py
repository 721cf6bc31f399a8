"""Name -> a causal language model in fp32 on the CPU, with its tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from transformers.models.qwen3.configuration_qwen3 import Qwen3Config
from transformers.models.qwen3.modeling_qwen3 import Qwen3ForCausalLM

from trainer.config import TINY, ModelConfig
from trainer.errors import ModelError
from trainer.tokenizer import ByteTokenizer, PretrainedTokenizer, Tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_MODEL_TYPES = ("qwen2", "qwen3")


def load_model(config: ModelConfig, seed: int) -> tuple[PreTrainedModel, Tokenizer]:
    """The whole model, in every rank alike: its weights do not depend on the world size.

    Raises:
        ModelError: the name leads to no Qwen2 or Qwen3 model, or not to all of it.
    """
    if config.name == TINY:
        model, tokenizer = _tiny(seed)
    else:
        model, tokenizer = _pretrained(config.name), PretrainedTokenizer.load(config.name)
    if config.activation_checkpointing:
        model.gradient_checkpointing_enable(  # type: ignore[no-untyped-call]
            gradient_checkpointing_kwargs={"use_reentrant": False}
        )
    return model.train(), tokenizer


def count_parameters(model: torch.nn.Module) -> int:
    """Trainable numbers, tied weights once."""
    return sum(parameter.numel() for parameter in model.parameters())


def _tiny(seed: int) -> tuple[PreTrainedModel, Tokenizer]:
    """Qwen3 in small: four layers, 128 wide, over bytes, so that it fits any laptop's CPU."""
    config = Qwen3Config(
        vocab_size=ByteTokenizer.vocabulary_size,
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=32,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=ByteTokenizer.end_id,
        pad_token_id=0,
    )
    torch.manual_seed(seed)
    return Qwen3ForCausalLM(config), ByteTokenizer()


def _pretrained(name: str) -> PreTrainedModel:
    from transformers import AutoConfig, AutoModelForCausalLM  # not for `tiny`

    if name.startswith(("/", ".", "~")) and not Path(name).is_dir():
        raise ModelError(f"no such directory: {name}", fix="give --model an existing directory")
    try:
        config = AutoConfig.from_pretrained(name)
        if config.model_type not in _MODEL_TYPES:
            raise ModelError(
                f"{name} is a {config.model_type} model", fix=f"use {' or '.join(_MODEL_TYPES)}"
            )
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
            name, config=config, dtype=torch.float32, attn_implementation="sdpa"
        )
    except (OSError, ValueError) as exc:
        raise ModelError(
            f"cannot load {name}: {exc}",
            fix="give a directory with config.json and weights, or a hub name that can be reached",
        ) from exc
    return model
