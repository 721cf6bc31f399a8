"""The keys that a playbook begins with, and that are gone once it is resolved."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from orchestrator.playbook.language import Section

INCLUDE = "include"
VARS = "vars"


class Preamble(Section):
    """Where the rest comes from: other files, and variables."""

    include: str | list[str] = Field(
        default=[],
        description="Files to lay below this one, relative to it; of several the later ones win. "
        "Mappings merge key by key, everything else is replaced whole. See "
        "[variables](variables.md).",
        examples=["base.yaml", ["base.yaml", "big.yaml"]],
    )
    vars: dict[str, Any] = Field(
        default={},
        description="Variables for `{{ … }}` anywhere in a value; `--vars-file` and `-e` override "
        "them. See [variables](variables.md).",
        examples=[{"steps": 20}],
    )
