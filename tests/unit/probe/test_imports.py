"""The hook on imports leaves no trace in what is imported."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.probe.stand import both

SHOW = """
import sys, torch, torch.optim.optimizer as optimizer, torch.distributed.distributed_c10d as c10d
for module in (torch, optimizer, c10d):
    spec = module.__spec__
    print(type(spec), type(spec.loader), vars(spec.loader), module.__loader__ is spec.loader)
    print(spec.origin, spec.cached, spec.submodule_search_locations, module.__file__)
"""
RELOAD = """
import importlib, importlib.util, torch.optim.optimizer as optimizer
print(importlib.util.find_spec("torch.optim.optimizer").origin)
print(importlib.reload(optimizer) is optimizer, vars(optimizer.__spec__.loader))
"""
LAZY = """
import importlib.util, sys
spec = importlib.util.find_spec("torch")
spec.loader = importlib.util.LazyLoader(spec.loader)
module = importlib.util.module_from_spec(spec)
sys.modules["torch"] = module
spec.loader.exec_module(module)
print(module.__version__)
"""


@pytest.mark.parametrize("script", [SHOW, RELOAD, LAZY], ids=["show", "reload", "lazy"])
def test_modules_are_as_they_would_be(script: str) -> None:
    without, with_probe = both("-c", script)
    assert with_probe.seen == without.seen
    assert with_probe.channel.of("probe_fault") == []


@pytest.mark.parametrize(
    "fault", ["import not_there", "1 / 0", "raise OSError('libcudart.so')", "raise SystemExit(9)"]
)
def test_a_torch_that_cannot_be_imported_fails_with_the_same_words(
    tmp_path: Path, fault: str
) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text(f"def broken():\n    {fault}\nbroken()\n")
    (tmp_path / "main.py").write_text("import torch\n")
    without, with_probe = both(str(tmp_path / "main.py"), torch=False, path=[tmp_path])
    assert with_probe.seen == without.seen
    assert without.code != 0


def test_a_torch_that_is_older_than_the_hooks_is_a_fault_and_no_more(tmp_path: Path) -> None:
    (tmp_path / "torch" / "optim").mkdir(parents=True)
    (tmp_path / "torch" / "__init__.py").write_text("from torch.optim import optimizer\n")
    (tmp_path / "torch" / "optim" / "__init__.py").touch()
    (tmp_path / "torch" / "optim" / "optimizer.py").touch()
    without, with_probe = both("-c", "import torch; print(1)", torch=False, path=[tmp_path])
    assert with_probe.seen == without.seen == (0, "1\n", "")
    assert [each["where"] for each in with_probe.channel.of("probe_fault")] == [
        "optimizer",
        "torch",
    ]


def test_what_is_saved_is_told_with_its_path(tmp_path: Path) -> None:
    script = f"""
import io, torch
torch.save("weights", "{tmp_path}/model.pt")
torch.save("weights", io.BytesIO())
torch.save("weights", f="{tmp_path}/named.pt")
"""
    _, with_probe = both("-c", script, env={"RANK": "0"})
    told = with_probe.channel.of("checkpoint_saved", "probe_fault")
    assert [each["path"] for each in told] == [f"{tmp_path}/model.pt", f"{tmp_path}/named.pt"]
    assert sorted(path.read_text() for path in tmp_path.iterdir()) == ["weights", "weights"]
