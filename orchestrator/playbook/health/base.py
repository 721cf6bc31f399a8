"""What every health check has in common."""

from __future__ import annotations

from typing import ClassVar

from pydantic import model_validator

from orchestrator.playbook.language import Section


class Check(Section):
    """One health check. `kind` is its key in YAML."""

    kind: ClassVar[str]

    @model_validator(mode="before")
    @classmethod
    def _unwrap(cls, value: object) -> object:
        if value == cls.kind:
            return {}
        if isinstance(value, dict) and list(value) == [cls.kind]:
            inner = value[cls.kind]
            return {} if inner is None else inner
        return value
