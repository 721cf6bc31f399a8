"""File -> Playbook, or every fault of the file with its line and column."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from orchestrator.errors import InvalidPlaybook
from orchestrator.playbook.checking import check
from orchestrator.playbook.fields import nearest
from orchestrator.playbook.given import (
    NOTHING,
    Given,
    GivenVariables,
    read_given,
    variables_in,
)
from orchestrator.playbook.health import Mps
from orchestrator.playbook.include import Reading, read_playbook
from orchestrator.playbook.loaded import LoadedPlaybook
from orchestrator.playbook.merge import without
from orchestrator.playbook.models import Playbook
from orchestrator.playbook.preamble import VARS
from orchestrator.playbook.relocate import relocated
from orchestrator.playbook.render import Renderer
from orchestrator.playbook.rules import Site
from orchestrator.playbook.source import Source, read, refused
from orchestrator.playbook.tree import Complaint, Mapping, Node
from orchestrator.playbook.variables import Scope, Variable


def load(path: Path, given: Given = NOTHING) -> LoadedPlaybook:
    """Load a playbook and check it against this machine.

    Args:
        path: the file, absolute or relative to the working folder. Faults name it as given.
        given: variables from outside of it.

    Raises:
        InvalidPlaybook: with every fault of the file.
    """
    return load_text(read(path, str(path)), name=str(path), folder=path.parent, given=given)


def load_text(text: bytes, *, name: str, folder: Path, given: Given = NOTHING) -> LoadedPlaybook:
    """Load a playbook from memory and check it against this machine.

    Args:
        text: the bytes of the file.
        name: what faults call it; its last part names the file in `folder`.
        folder: what relative paths in the playbook are relative to.
        given: variables from outside of it.

    Raises:
        InvalidPlaybook: with every fault of the text.
    """
    home = _without_links(folder, name)
    path = home / Path(name).name
    reading = Reading()
    root = read_playbook(Source.of(text, name, home), path, reading)
    inside, outside = _variables(root, reading), read_given(given, reading)
    renderer = Renderer(Scope({**inside, **outside.variables}, os.environ), reading.sources)
    playbook = None
    if root is not None:
        root = renderer.render(without(root, VARS) if isinstance(root, Mapping) else root)
        renderer.check_variables()
        reading.complaints += renderer.complaints
        reading.complaints += () if reading.complaints else _unused(outside, inside, renderer.scope)
        root = relocated(root, [source.folder for source in reading.sources])
        playbook = check(root, Site.here(home), reading.complaints, renderer.templated)
    secret = frozenset(renderer.secret)
    if reading.complaints or reading.faults or playbook is None:
        from orchestrator.playbook.placing import Papers, placed  # only faults need a place

        faults = placed(reading.complaints, Papers(root, reading.sources, secret))
        raise InvalidPlaybook([*faults, *reading.faults])
    checked = _with_implied_checks(playbook)
    return LoadedPlaybook(checked, path, _digest(reading, renderer.scope), home, secret)


def _with_implied_checks(playbook: Playbook) -> Playbook:
    """Without its daemon MPS is nothing that anybody would notice: it is checked, asked or not."""
    checks = playbook.health_checks
    if playbook.gpu.mode != "mps" or any(isinstance(check, Mps) for check in checks):
        return playbook
    return playbook.model_copy(update={"health_checks": (Mps(), *checks)})


def _without_links(folder: Path, name: str) -> Path:
    try:
        return Path(os.path.realpath(folder))
    except (OSError, ValueError) as exc:  # the working folder is gone; a NUL in the path
        raise refused(name, "its folder cannot be found", "use an absolute path") from exc


def _variables(root: Node | None, reading: Reading) -> dict[str, Variable]:
    """The playbook's own variables, those of included files among them."""
    if not isinstance(root, Mapping) or VARS not in root.entries:
        return {}
    return dict(variables_in(root.entries[VARS].node, (VARS,), reading))


def _unused(outside: GivenVariables, inside: Iterable[str], scope: Scope) -> Iterator[Complaint]:
    """Complain about `-e step=5` where the variable is called steps."""
    known = sorted(scope.names.union(inside))
    for name, mark in outside.named.items():
        if name not in known:
            guess = nearest(name, known)
            fix = f"did you mean {guess}?" if guess else f"known: {', '.join(known) or 'none'}"
            yield Complaint((name,), "the playbook has no such variable", fix, mark=mark)


def _digest(reading: Reading, scope: Scope) -> str:
    first, *others = reading.sources
    data = first.data
    if others or scope.read:
        files = [hashlib.sha256(source.data).hexdigest() for source in reading.sources]
        data = json.dumps([files, scope.read], sort_keys=True).encode()
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
