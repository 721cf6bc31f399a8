"""A plan that is kept to be carried out later, exactly as it was shown, or not at all.

The file holds no nodes and no values of variables: what it was made from is found again
and compared. It says which playbook, what that meant then (a digest), which objects were
found, and what was to become of each. The digests are made with a key (`key.py`), as secrets
and files of variables are among what they cover.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, cast

import msgspec
from msgspec import Struct
from msgspec.structs import asdict, replace

from orchestrator import __version__
from orchestrator.errors import FolderUnusable, PlanRefused
from orchestrator.plans.document import PLAN_VERSION, plan_document
from orchestrator.plans.mark import MARK, is_plan_file
from orchestrator.plans.plan import Plan
from orchestrator.redaction import redacted_document
from orchestrator.state.desired import DesiredState
from orchestrator.state.observed import ObservedState

FORMAT: Final = 1
_MAX_BYTES = 256 * 1024 * 1024


class PlanFile(Struct, frozen=True):
    """What a plan file says.

    Attributes:
        orchestrate_plan: the format of the file; first, as it is recognised by it.
        orchestrate: the version of the program that made it.
        playbook: absolute path.
        key: tells the key of the digests from others, and nothing about it.
        playbook_digest: of the playbook's text and its variables.
        desired: digest of everything that the playbook asked for, its secrets, files of a
            build and health checks included.
        engine: name of the engine.
        endpoint: which of several engines of that name; empty for the usual one.
        rerun: whether a new run was asked for.
        found: `{object: id}` of every object of the project that there was.
        plan: the plan's JSON form.
    """

    orchestrate_plan: int
    orchestrate: str
    playbook: str
    key: str
    playbook_digest: str
    desired: str
    engine: str
    endpoint: str
    rerun: bool
    found: dict[str, str]
    plan: dict[str, Any]


class Basis(Struct, frozen=True):
    """What a plan was made from."""

    desired: DesiredState
    observed: ObservedState
    asked: object  # whatever else of the playbook matters: its health checks and restarts
    engine: str
    endpoint: str
    rerun: bool
    key: bytes


def plan_file(plan: Plan, basis: Basis) -> PlanFile:
    """What to keep of a plan."""
    desired = basis.desired
    return PlanFile(
        orchestrate_plan=FORMAT,
        orchestrate=__version__,
        playbook=desired.playbook,
        key=_digest(basis.key, "which key"),
        playbook_digest=_digest(basis.key, desired.playbook_digest),
        desired=_digest(basis.key, (desired, basis.asked, _secrets(desired))),
        engine=basis.engine,
        endpoint=basis.endpoint,
        rerun=basis.rerun,
        found=_identities(basis.observed),
        plan=plan_document(plan, basis.engine),
    )


def _digest(key: bytes, what: object) -> str:
    import hmac  # loads OpenSSL: only who keeps a plan pays for it

    return f"hmac-sha256:{hmac.digest(key, repr(what).encode(), 'sha256').hex()}"


def _secrets(desired: DesiredState) -> list[bytes | None]:
    """What a node's own text leaves out."""
    return [secret.value for node in desired.nodes for secret in node.secrets]


def _identities(observed: ObservedState) -> dict[str, str]:
    found = {f"node {node.name}": node.id for node in observed.nodes}
    found |= {f"{each.spec.title} {each.name}": each.id for each in observed.sidecars}
    found |= {f"network {network.name}": network.id for network in observed.networks}
    if observed.image is not None:
        found[f"image {observed.image.tag}"] = observed.image.id
    return dict(sorted(found.items()))


def refuse_what_moved(kept: PlanFile, now: PlanFile) -> None:
    """Raises PlanRefused if what a plan was made from is not what there is now; says what moved."""
    # The values of secrets were left out of the file.
    now = replace(now, plan=cast("dict[str, Any]", redacted_document(now.plan)))
    if moved := list(_moved(kept, now)):
        raise PlanRefused(
            f"the plan is out of date: {'; '.join(moved)}",
            fix=f"make a new one: `orchestrate plan --out FILE {now.playbook}`"
            " (variables are given to apply as they were to plan)",
        )


def _moved(kept: PlanFile, now: PlanFile) -> Iterator[str]:
    if (kept.engine, kept.endpoint) != (now.engine, now.endpoint):
        yield f"it is for {_engine(kept)}, not for {_engine(now)}"
        return
    if kept.key != now.key:
        yield "it was made by another account, or with another XDG_STATE_HOME"
        return
    if kept.rerun != now.rerun:
        yield "it was not made for a new run" if now.rerun else "it was made for a new run"
    if kept.playbook_digest != now.playbook_digest:
        yield f"{now.playbook} was edited, or has other variables"
    elif kept.desired != now.desired:
        yield "variables, files, secrets or devices that the playbook reads are other ones"
    yield from _moved_objects(kept.found, now.found)
    before, after = _actions(kept.plan), _actions(now.plan)
    for name in sorted({**before, **after}):
        old, new = before.get(name, "not in the plan"), after.get(name, "not in the plan")
        if old != new:
            yield f"{name}: {old} then, {new} now"


def _engine(file: PlanFile) -> str:
    return f"engine {file.engine}{f' at {file.endpoint}' if file.endpoint else ''}"


def _moved_objects(before: dict[str, str], after: dict[str, str]) -> Iterator[str]:
    for name in sorted({**before, **after}):
        if name not in after:
            yield f"{name} is gone"
        elif name not in before:
            yield f"{name} has come"
        elif before[name] != after[name]:
            yield f"{name} is another one"


def _actions(plan: dict[str, Any]) -> dict[str, str]:
    """`{object: what becomes of it and why}`, as far as a damaged plan tells."""
    objects = plan.get("objects")
    entries = (
        [each for each in objects if isinstance(each, dict)] if isinstance(objects, list) else []
    )
    return {f"{each.get('kind')} {each.get('name')}": _action(each) for each in entries}


def _action(entry: dict[str, Any]) -> str:
    fields = [each for each in entry.get("fields") or [] if isinstance(each, dict)]
    changed = [f"{each.get('field')} {each.get('old')} -> {each.get('new')}" for each in fields]
    causes = [str(each) for each in (entry.get("cause"), *changed) if each]
    return f"{entry.get('action')} ({', '.join(causes)})"


def write_plan_file(file: PlanFile, path: Path) -> None:
    """Write the file in one step, readable by its owner alone.

    Raises:
        PlanRefused: something that is no plan is there already.
        FolderUnusable: it cannot be written.
    """
    if path.exists() and not is_plan_file(path):
        raise PlanRefused(f"{path} is there and is no plan file", fix="choose another name")
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            json.dump(redacted_document(asdict(file)), stream, indent=2, ensure_ascii=True)
            stream.write("\n")
        part.replace(path)
    except OSError as exc:
        part.unlink(missing_ok=True)
        raise FolderUnusable(
            f"the plan file {path} cannot be written: {exc.strerror}", fix="choose another place"
        ) from exc


def read_plan_file(path: Path) -> PlanFile:
    """Read a plan file. Raises PlanRefused: it is damaged, or of a version not known here."""
    renew = "make a new one with `orchestrate plan --out`"
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
        document = json.loads(content) if len(content) <= _MAX_BYTES else None
        version = document.get(MARK) if isinstance(document, dict) else None
        if isinstance(version, int) and version != FORMAT:
            raise PlanRefused(f"{path} is a plan of format {version}, not {FORMAT}", fix=renew)
        kept = msgspec.json.decode(content, type=PlanFile)
    except OSError as exc:
        raise PlanRefused(f"{path} cannot be read: {exc.strerror}", fix=renew) from exc
    except (ValueError, RecursionError) as exc:
        raise PlanRefused(f"{path} is a damaged plan file", fix=renew) from exc
    if kept.plan.get("version") != PLAN_VERSION:
        raise PlanRefused(f"{path} holds a plan of another version", fix=renew)
    return kept
