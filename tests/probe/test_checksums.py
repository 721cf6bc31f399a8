"""Checksums over parameters: equal for equal ones, different when one bit is."""

from __future__ import annotations

import pytest
import torch

from orchestrator.probe.site.orchestrate_probe import parameters

pytestmark = pytest.mark.torch

KINDS = [torch.float32, torch.bfloat16, torch.float64, torch.float16, torch.complex64]


def _optimizer(*tensors: torch.Tensor) -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.nn.Parameter(each) for each in tensors], lr=0.1)


@pytest.mark.parametrize("kind", KINDS)
def test_equal_parameters_have_equal_checksums(kind: torch.dtype) -> None:
    values = torch.randn(33, 7, dtype=torch.float64).to(kind)
    first, second = _optimizer(values.clone()), _optimizer(values.clone())
    assert parameters.checksum(first) == parameters.checksum(second)
    assert parameters.checksum(first)[1] == 33 * 7


@pytest.mark.parametrize("kind", KINDS)
def test_one_value_that_differs_is_seen(kind: torch.dtype) -> None:
    values = torch.ones(33, 7, dtype=kind)
    changed = values.clone()
    changed[32, 6] = 1.5
    assert parameters.checksum(_optimizer(values)) != parameters.checksum(_optimizer(changed))


def test_values_that_change_places_are_seen() -> None:
    first, second = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 3.0, 2.0])
    assert parameters.checksum(_optimizer(first)) != parameters.checksum(_optimizer(second))


def test_it_does_not_matter_how_a_tensor_lies_in_memory() -> None:
    values = torch.randn(5, 9)
    turned = values.t().contiguous().t()
    assert parameters.checksum(_optimizer(values)) == parameters.checksum(_optimizer(turned))


def test_many_values_are_sampled_and_summed_up_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parameters, "CHUNK", 16)
    monkeypatch.setattr(parameters, "MAX_ELEMENTS", 50)
    values = torch.arange(100.0)
    left_out, looked_at = values.clone(), values.clone()
    left_out[99], looked_at[98] = -1.0, -1.0
    usual = parameters.checksum(_optimizer(values))
    assert parameters.checksum(_optimizer(left_out)) == usual
    assert parameters.checksum(_optimizer(looked_at)) != usual


def test_what_is_not_whole_or_not_there_is_left_out() -> None:
    shard = torch.nn.Parameter(torch.ones(3))
    shard._is_flat_param = True  # type: ignore[attr-defined]
    optimizer = torch.optim.SGD([shard, torch.nn.Parameter(torch.empty(2, device="meta"))], lr=0.1)
    assert parameters.checksum(optimizer) == ("", 0)
