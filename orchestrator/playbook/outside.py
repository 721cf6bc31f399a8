"""What nodes are given that stands in no playbook: files of variables, and secrets.

The rules read both to find what is wrong with them before anything is created; `take` reads
them once more, for nodes that are about to be planned.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct, field

from orchestrator.errors import Fault, InvalidPlaybook
from orchestrator.playbook.envfile import BadEnvFile, Unreadable, read_bounded, read_env_file
from orchestrator.playbook.ranks import Secret
from orchestrator.playbook.reserved import reserved
from orchestrator.redaction import learn

if TYPE_CHECKING:
    from orchestrator.playbook.loaded import LoadedPlaybook

MAX_SECRET_BYTES = 512 * 1024


class Taken(Struct, frozen=True):
    """What was read for the nodes; its texts are not to be shown.

    Attributes:
        env: variables of every node, from `ranks.env_file`.
        node_env: those of single nodes, from `ranks.per_node.N.env_file`.
        secrets: `(name, value)`, by name.
    """

    env: Mapping[str, str] = field(default_factory=dict)
    node_env: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    secrets: tuple[tuple[str, bytes], ...] = ()

    def __repr__(self) -> str:
        return "Taken()"


NOTHING = Taken()


def take(loaded: LoadedPlaybook, host: Mapping[str, str]) -> Taken:
    """Read all that the playbook takes from this machine.

    Raises:
        InvalidPlaybook: something has gone, or gone bad, since the playbook was loaded.
    """
    ranks, folder = loaded.playbook.ranks, loaded.folder
    try:
        return Taken(
            env=env_of_files(ranks.env_file, folder, host),
            node_env={
                node: env_of_files(override.env_file, folder, host)
                for node, override in ranks.per_node.items()
                if override.env_file
            },
            secrets=tuple(
                sorted(
                    (secret.name, secret_value(secret, folder, host)) for secret in ranks.secrets
                )
            ),
        )
    except (BadEnvFile, Unreadable) as exc:
        what = "an env_file or a secret can no longer be read"
        fault = Fault(str(loaded.path), 1, 1, "ranks", what, "validate the playbook again")
        raise InvalidPlaybook([fault]) from exc


def env_of_files(
    paths: tuple[str, ...], folder: Path, host: Mapping[str, str]
) -> Mapping[str, str]:
    """The variables of several files, of which later ones win. Raises BadEnvFile."""
    merged: dict[str, str] = {}
    for path in paths:
        merged |= read_env_file(folder / path, host, reserved)
    return merged


def secret_value(secret: Secret, folder: Path, host: Mapping[str, str]) -> bytes:
    """The value of a secret, byte for byte. Raises Unreadable."""
    if secret.file is not None:
        value = read_bounded(folder / secret.file, MAX_SECRET_BYTES)
        fix = "write the value into it"
    else:
        name = secret.variable
        if name not in host:
            fix = f"export {name}, or give {{name: {secret.name}, file: …}}"
            raise Unreadable(f"the variable {name} is not set", fix)
        value, fix = os.fsencode(host[name]), f"give {name} a value"
    if not value:
        raise Unreadable("empty", fix)
    learn([value])
    return value
