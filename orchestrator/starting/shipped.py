"""Files that come along with the program: what the image of the trainer is built from.

In a wheel they lie in `orchestrator/shipped`, in a checkout where the project itself uses them.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import orchestrator
from orchestrator.starting.answers import CONTEXT

_PACKAGE = Path(orchestrator.__file__).parent
_CHECKOUT = _PACKAGE.parent
_IGNORED = "**/__pycache__\n**/*.py[co]\n"

STARTER = "train.py"


def shipped(path: str) -> Path:
    """Where a file that comes along is, by its path in the checkout."""
    packed = _PACKAGE / "shipped" / path
    return packed if packed.exists() else _CHECKOUT / path


def image_files() -> Iterator[tuple[str, bytes]]:
    """What the image is built from, each by its path from the playbook's folder."""
    yield f"{CONTEXT}/.dockerignore", _IGNORED.encode()
    for path in ("docker/Dockerfile", "docker/requirements.txt"):
        yield f"{CONTEXT}/{path}", shipped(path).read_bytes()
    for file in sorted(_trainer().rglob("*")):
        inner = file.relative_to(_trainer())
        if file.is_file() and "__pycache__" not in inner.parts:
            yield f"{CONTEXT}/trainer/{inner}", file.read_bytes()


def _trainer() -> Path:
    # Found, not imported: it would bring torch, which need not be here.
    spec = find_spec("trainer")
    origin = spec.origin if spec else None
    return Path(origin).parent if origin else _CHECKOUT / "trainer"


def starter_script() -> bytes:
    """A training script of plain torch.distributed, to be replaced by one's own."""
    return shipped("playbooks/scripts/train.py").read_bytes()
