"""Values -> JSON documents that hide what is not to be shown. Pure."""

from __future__ import annotations

import re
from enum import Enum
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.plans.document import plan_document
from orchestrator.plans.plan import Plan
from orchestrator.redaction import VEIL, redacted
from orchestrator.state.observed import ObservedContainer
from orchestrator.state.spec import ContainerSpec, Secret

Spec = TypeVar("Spec", bound=ContainerSpec)

_OF_A_LAUNCH = re.compile(
    r"(LOCAL_|GROUP_|ROLE_)?(RANK|WORLD_SIZE)|NODE_RANK|NNODES|NPROC_PER_NODE|RDZV_ID|MASTER_\w+"
    r"|(GLOO|NCCL|TORCH_NCCL|TORCH_DISTRIBUTED|TORCH_GLOO|OMP|CUDA|NVIDIA|ORCHESTRATE)_\w+"
    r"|PATH|LANG|LC_ALL|HOME|PYTHON(PATH|UNBUFFERED|FAULTHANDLER|DONTWRITEBYTECODE)"
)


def document(value: object) -> Any:
    """A value as JSON data: structs as objects, every text redacted."""
    match value:
        case Struct():
            return _fields(_showable(value))
        case str() | Enum():
            # Of a member of a StrEnum its value, of one of any other enumeration its name.
            return redacted(str(value) if isinstance(value, str) else value.name.lower())
        case dict():
            return {str(key): document(item) for key, item in value.items()}
        case list() | tuple() | frozenset():
            return [document(item) for item in value]
        case _:
            return value


def _fields(value: Struct) -> dict[str, Any]:
    return {name: document(getattr(value, name)) for name in value.__struct_fields__}


def _showable(value: Struct) -> Struct:
    match value:
        case ContainerSpec():
            return veiled(value)
        case ObservedContainer():
            return _without_command(value)
        case _:
            return value


def _without_command(node: ObservedContainer) -> ObservedContainer:
    """Its command may hold what the playbook took from the environment; `run.json` has it."""
    return replace(node, spec=replace(node.spec, command=()))


def veiled(spec: Spec) -> Spec:
    """The spec without secrets, and without the values of variables but those of a launch.

    Of a variable that a playbook, a file or an image sets, nobody can tell whether it is a
    password; what a launcher, a backend or CUDA goes by is none, unless it is declared hidden.
    """
    hidden = frozenset(spec.hidden_env)
    return replace(
        spec,
        env=tuple((name, _shown(name, value, hidden)) for name, value in spec.env),
        secrets=tuple(Secret(secret.name) for secret in spec.secrets),
    )


def kept_plan_document(plan: Plan, engine: str) -> dict[str, Any]:
    """The plan's JSON form, without the values of variables that a spec is kept without."""
    kept: dict[str, Any] = document(plan_document(plan, engine))
    for each in kept["objects"]:
        for change in each["fields"]:
            kind, _, name = change["field"].partition(".")
            if kind == "env" and not _OF_A_LAUNCH.fullmatch(name):
                change |= {"old": VEIL, "new": VEIL}
    return kept


def _shown(name: str, value: str, hidden: frozenset[str]) -> str:
    return value if name not in hidden and _OF_A_LAUNCH.fullmatch(name) else VEIL
