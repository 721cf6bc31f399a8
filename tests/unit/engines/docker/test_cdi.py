"""Which devices an engine says that it can inject, and the folders that tell of the others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.engines.docker.cdi import cdi_devices

NVIDIA = """\
cdiVersion: 0.5.0
kind: nvidia.com/gpu
containerEdits:
  env: [NVIDIA_VISIBLE_DEVICES=void]
devices:
- name: GPU-a
  containerEdits:
    deviceNodes:
    - path: /dev/nvidia0
- name: "0"
  containerEdits: {}
"""
FOUND = {"nvidia.com/gpu=GPU-a", "nvidia.com/gpu=0"}


def found(*folders: Path, **more: Any) -> frozenset[str]:
    return cdi_devices({"CDISpecDirs": [str(folder) for folder in folders], **more})


@pytest.mark.parametrize(
    "info",
    [
        {},
        {"CDISpecDirs": None},
        {"CDISpecDirs": [], "DiscoveredDevices": None},
        {"DiscoveredDevices": [{"Source": "other", "ID": "nvidia.com/gpu=GPU-a"}]},
    ],
)
def test_an_engine_without_devices(info: dict[str, Any]) -> None:
    assert cdi_devices(info) == frozenset()


def test_what_an_engine_lists() -> None:
    listed = [{"Source": "cdi", "ID": each} for each in sorted(FOUND)]
    assert cdi_devices({"CDISpecDirs": ["/no/such"], "DiscoveredDevices": listed}) == FOUND


def test_what_the_folders_of_an_engine_describe(tmp_path: Path) -> None:
    (tmp_path / "nvidia.yaml").write_text(NVIDIA)
    (tmp_path / "other.json").write_text(
        json.dumps({"kind": "vendor.com/net", "devices": [{"name": "x"}]})
    )
    (tmp_path / "notes.txt").write_text(NVIDIA.replace("GPU-a", "GPU-b"))
    assert found(tmp_path, tmp_path / "missing") == FOUND | {"vendor.com/net=x"}


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\xff\xfe\x00",
        b"kind: [",
        b"- a\n- b\n",
        b"kind: nvidia.com/gpu\ndevices: {name: GPU-b}\n",
        b"kind: nvidia.com/gpu\ndevices: [GPU-b]\n",
        b"kind: !!python/object/apply:os.system [false]\ndevices: [{name: GPU-b}]\n",
    ],
)
def test_what_is_no_specification_is_passed_over(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "bad.yaml").write_bytes(text)
    (tmp_path / "nvidia.yaml").write_text(NVIDIA)
    (tmp_path / "folder.yaml").mkdir()
    assert found(tmp_path) == FOUND
