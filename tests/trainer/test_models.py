"""Models and data from outside: directories, tokenizers, JSONL, and the export's way back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.trainer.trainer_runs import (
    SMALL,
    Finished,
    cached_run,
    largest_difference,
    run,
    run_script,
)
from trainer.config import BUILTIN_CORPUS

pytestmark = pytest.mark.torch

# Loads the export as any user of transformers would, and takes the loss with the library's own
# labels: of the rows of step 9, which the run that exported never saw.
LOSS_BY_TRANSFORMERS = """
import sys
from pathlib import Path
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
model = AutoModelForCausalLM.from_pretrained(sys.argv[1]).eval()
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
text = Path(sys.argv[2]).read_text()
tokens = tokenizer.encode(text, add_special_tokens=False) + [tokenizer.eos_token_id]
count = (len(tokens) - 1) // 32
order = torch.randperm(count, generator=torch.Generator().manual_seed(0))
blocks = torch.tensor([tokens[b * 32 : b * 32 + 33] for b in order[64:72].tolist()])
with torch.no_grad():
    print(type(model).__name__, model(input_ids=blocks, labels=blocks).loss.item())
"""

QWEN2_WITH_BPE = """
import sys
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM
bpe = Tokenizer(models.BPE())
bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
bpe.decoder = decoders.ByteLevel()
bpe.train([sys.argv[2]], trainers.BpeTrainer(
    vocab_size=512, special_tokens=["<|endoftext|>"], show_progress=False,
    initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token="<|endoftext|>")
tokenizer.save_pretrained(sys.argv[1])
torch.manual_seed(3)
Qwen2ForCausalLM(Qwen2Config(
    vocab_size=512, hidden_size=64, intermediate_size=128, num_hidden_layers=2,
    num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=False,
)).save_pretrained(sys.argv[1])
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """The directory of an export after eight steps of two FSDP ranks, and the loss of step 9."""
    root = tmp_path_factory.mktemp("exported")
    flags = ("--checkpoint-dir", str(root / "checkpoints"))
    done = run(2, *flags, "--export-dir", str(root / "model"), *SMALL)
    assert done.exit_codes == [0, 0]
    ninth = run(2, *flags, "--resume", *SMALL, "--max-steps", "9")
    return root / "model", ninth.losses()[9]


def test_the_export_is_the_trained_model(exported: tuple[Path, float]) -> None:
    model, expected = exported
    name, loss = run_script(LOSS_BY_TRANSFORMERS, str(model), str(BUILTIN_CORPUS)).split()
    assert name == "Qwen3ForCausalLM"
    assert float(loss) == pytest.approx(expected, abs=1e-5)


def test_the_export_is_complete_and_clean(exported: tuple[Path, float]) -> None:
    model, _ = exported
    names = {path.name for path in model.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer_config.json"} <= names
    assert not [name for name in names if name.startswith(".")]
    config = json.loads((model / "config.json").read_text())
    assert config["architectures"] == ["Qwen3ForCausalLM"]
    assert config["dtype"] == "float32"


@pytest.mark.parametrize("parallel", ["fsdp", "ddp"])
def test_training_goes_on_from_an_export(exported: tuple[Path, float], parallel: str) -> None:
    model, _ = exported
    done = run(2, "--model", str(model), "--parallel", parallel, *SMALL)
    assert done.exit_codes == [0, 0]
    assert done.losses()[1] < cached_run(1, "--parallel", "fsdp", *SMALL).losses()[8]
    assert done.one("training_started")["parameters"] == 820992


def test_an_older_export_is_replaced(tmp_path: Path) -> None:
    flags = ("--max-steps", "3", "--sequence-length", "32", "--export-dir", str(tmp_path))
    weights = []
    for seed in ("1", "2"):
        assert run(1, "--parallel", "ddp", "--seed", seed, *flags).exit_codes == [0]
        weights.append((tmp_path / "model.safetensors").read_bytes())
    assert len(weights[0]) == len(weights[1])
    assert weights[0] != weights[1]


@pytest.fixture(scope="module")
def qwen2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Qwen2 with biases, untied weights and a byte-pair tokenizer of its own."""
    directory = tmp_path_factory.mktemp("qwen2")
    run_script(QWEN2_WITH_BPE, str(directory), str(BUILTIN_CORPUS))
    return directory


def train_qwen2(directory: Path, world_size: int, parallel: str) -> Finished:
    done = run(world_size, "--model", str(directory), "--parallel", parallel, *SMALL)
    assert done.exit_codes == [0] * world_size
    return done


def test_a_qwen2_directory_trains_the_same_in_every_world(qwen2: Path) -> None:
    reference = train_qwen2(qwen2, 1, "fsdp")
    started = reference.one("training_started")
    assert (started["model"], started["parameters"]) == (str(qwen2), 139840)
    # The pairs are in use: a byte tokenizer would make 148,481 tokens of the built-in text.
    assert started["data_tokens"] < 80_000
    assert reference.losses()[8] < reference.losses()[1]
    for world_size, parallel in ((2, "fsdp"), (2, "ddp")):
        losses = train_qwen2(qwen2, world_size, parallel).losses()
        assert largest_difference(losses, reference.losses()) <= 1e-5


def test_a_model_of_another_family_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    done = run(1, "--model", str(tmp_path), *SMALL)
    assert done.exit_codes == [1]
    assert done.one("rank_failed")["reason"] == f"{tmp_path} is a gpt2 model; use qwen2 or qwen3"


def test_jsonl_is_the_text_of_its_documents(tmp_path: Path) -> None:
    """Two documents are their bytes with an end after each, as one text would be."""
    prose = BUILTIN_CORPUS.read_text()
    whole, split = tmp_path / "whole.jsonl", tmp_path / "split.jsonl"
    whole.write_text(json.dumps({"text": prose, "id": 1}) + "\n")
    halves = [{"text": prose[:1000]}, {"text": prose[1000:] + "\u2028é"}]
    split.write_text("\n".join(json.dumps(half, ensure_ascii=False) for half in halves))
    one, two = (run(1, "--data", str(path), *SMALL) for path in (whole, split))
    assert one.losses() == cached_run(1, "--parallel", "fsdp", *SMALL).losses()
    assert one.one("training_started")["data_tokens"] == 148481
    assert two.one("training_started")["data_tokens"] == 148481 + 1 + len("\u2028é".encode())
    assert two.exit_codes == [0]
