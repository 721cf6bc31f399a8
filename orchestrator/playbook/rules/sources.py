"""Rules on what is read from this machine for the nodes: files of variables, and secrets."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator

from orchestrator.playbook.envfile import BadEnvFile, Unreadable
from orchestrator.playbook.models import Playbook
from orchestrator.playbook.outside import env_of_files, secret_value
from orchestrator.playbook.ranks import Secret
from orchestrator.playbook.rules.base import Rule, Site, lists_of_mounts
from orchestrator.playbook.tree import Complaint, Loc, printable

_FOLDER = "/run/secrets"


def _env_files(playbook: Playbook, site: Site) -> Iterator[Complaint]:
    for at, paths in _lists_of_env_files(playbook):
        for index, path in enumerate(paths):
            try:
                env_of_files((path,), site.folder, os.environ)
            except BadEnvFile as exc:
                for fault in exc.faults:
                    where = f"{path}:{fault.line}" if fault.line else path
                    where = where if where.isprintable() else printable(where)
                    yield Complaint((*at, index), f"{where}: {fault.what}", fault.fix)


def _lists_of_env_files(playbook: Playbook) -> Iterator[tuple[Loc, tuple[str, ...]]]:
    yield ("ranks", "env_file"), playbook.ranks.env_file
    for node, override in playbook.ranks.per_node.items():
        yield ("ranks", "per_node", node, "env_file"), override.env_file


def _secrets(playbook: Playbook, site: Site) -> Iterator[Complaint]:
    seen: set[str] = set()
    for index, secret in enumerate(playbook.ranks.secrets):
        at: Loc = ("ranks", "secrets", index)
        if secret.name in seen:
            yield Complaint(at, f"the secret {secret.name} is given twice", "remove one of the two")
        elif secret.file is not None and secret.env is not None:
            yield Complaint(at, "a file and a variable", "give one of them")
        elif fault := _source_fault(secret, site):
            yield Complaint((*at, "file") if secret.file is not None else at, *fault)
        seen.add(secret.name)


def _source_fault(secret: Secret, site: Site) -> tuple[str, str] | None:
    try:
        secret_value(secret, site.folder, os.environ)
    except Unreadable as exc:
        where = f"{printable(secret.file)}: " if secret.file is not None else ""
        return f"{where}{exc}", exc.fix
    return None


def _secrets_target(playbook: Playbook, _: Site) -> Iterator[Complaint]:
    if not playbook.ranks.secrets:
        return
    for at, mounts in lists_of_mounts(playbook):
        for index, mount in enumerate(mounts):
            target = posixpath.normpath(mount.target)
            if f"{target}/".startswith(f"{_FOLDER}/") or target == "/run":
                what = f"{_FOLDER} is where ranks.secrets are"
                yield Complaint((*at, index, "target"), what, "use a folder such as /data")


ENV_FILES = Rule(_env_files)
SECRETS = Rule(_secrets)
SECRETS_TARGET = Rule(_secrets_target)
