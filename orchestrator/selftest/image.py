"""The image that trials run where no playbook names one: the trainer's, on torch with CUDA."""

from __future__ import annotations

import json
from pathlib import Path

from orchestrator.errors import FolderUnusable
from orchestrator.playbook.loaded import LoadedPlaybook
from orchestrator.playbook.loader import load_text
from orchestrator.starting.answers import CONTEXT, CUDA_BASE
from orchestrator.starting.shipped import image_files

TAG = "orchestrate-gpu-selftest:cuda"

_PLAYBOOK = {
    "version": 1,
    "name": "gpu-selftest",
    "image": {
        "tag": TAG,
        "build": {
            "context": CONTEXT,
            "dockerfile": "docker/Dockerfile",
            "requirements": "docker/requirements.txt",
            "args": {"BASE_IMAGE": CUDA_BASE},
        },
    },
    "ranks": {"nodes": 1, "command": ["python", "-m", "trainer"]},
}


def lay_out(folder: Path) -> LoadedPlaybook:
    """Put what the image is built from into a folder, and give the playbook that says so.

    Raises:
        FolderUnusable: the folder cannot be written.
    """
    try:
        for name, content in image_files():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
    except OSError as exc:
        raise FolderUnusable(
            f"{folder} cannot be written: {exc.strerror}",
            fix="make it writable, or set XDG_CACHE_HOME to a folder of yours",
        ) from exc
    return load_text(json.dumps(_PLAYBOOK).encode(), name="gpu-selftest.yaml", folder=folder)
