"""What nodes answered at their ports while an apply followed them, from the verdict it kept."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from orchestrator.kept.files import VERDICT_FILE
from orchestrator.state.observed import ObservedNode
from orchestrator.verify.answers import Answer

MAX_VERDICT_BYTES: Final = 64 * 1024 * 1024


def kept_answers(nodes: Sequence[ObservedNode]) -> tuple[Answer, ...]:
    """The answers of these nodes' run; none where nothing was kept, or it cannot be read."""
    if not nodes or not nodes[0].run_dir:
        return ()
    try:
        with (Path(nodes[0].run_dir) / VERDICT_FILE).open("rb") as file:
            verdict = json.loads(file.read(MAX_VERDICT_BYTES))
    except (OSError, ValueError, RecursionError):
        return ()
    kept = verdict.get("answers") if isinstance(verdict, dict) else None
    found = map(_answer, kept if isinstance(kept, list) else ())
    return tuple(answer for answer in found if answer is not None)


def _answer(kept: Any) -> Answer | None:
    match kept:
        case {
            "kind": str(kind),
            "node_rank": int(node_rank),
            "at_s": float(at_s),
            "said": str(said),
        }:
            return Answer(kind, node_rank, at_s, said)
        case _:
            return None
