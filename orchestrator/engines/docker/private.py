"""What containers are given by files that nobody else may see: `<root>/<project>@<run>/`.

`secrets/` in there is mounted into every node of the run; a node's variables that must not
stand in a command line lie beside it while that command creates the node. Values are written
after a container refers to them, so what is on the disk is found, and removed, by way of it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.engines import secret_files
from orchestrator.engines.docker.creation import Creation
from orchestrator.errors import FolderUnusable
from orchestrator.state.desired import RunIdentity
from orchestrator.state.observed import ObservedNode
from orchestrator.state.spec import NodeSpec

_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,99}", re.ASCII)
_PROJECT = re.compile(r"[a-z0-9][a-z0-9-]{0,39}", re.ASCII)


class PrivateFiles(Struct, frozen=True):
    """The private files of all projects on one engine, below `root`."""

    root: Path

    def folder(self, identity: RunIdentity) -> Path:
        """Where a run's files lie."""
        return self.root / f"{identity.project}@{identity.run_id}"

    def prepare(self, nodes: Sequence[NodeSpec], identity: RunIdentity) -> None:
        """Make room for a new run, and clear away what an earlier one has left."""
        self.remove_project(identity.project)
        if any(node.secrets or node.hidden_env for node in nodes):
            with _usable(self.root):
                self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
                self.root.chmod(0o700)
                secret_files.make_folder(self.folder(identity))
                secret_files.make_folder(self.folder(identity) / "secrets")

    def place_secrets(self, creation: Creation) -> None:
        """Write the secrets that a node is about to find."""
        if creation.node.secrets:
            with _usable(self.root):
                secret_files.place(creation.secrets, creation.node.secrets)

    def with_values(self, node: ObservedNode) -> ObservedNode:
        """The node with the values of its secrets, which no label holds."""
        names = [secret.name for secret in node.spec.secrets]
        if not names or not _RUN.fullmatch(node.run_id):
            return node
        run = next(self.root.glob(f"*@{node.run_id}/secrets"), self.root)
        return replace(node, spec=replace(node.spec, secrets=secret_files.found(run, names)))

    def remove_run(self, run_id: str) -> None:
        """Remove the files of a run whose nodes are about to go."""
        if _RUN.fullmatch(run_id):
            self._remove(f"*@{run_id}")

    def remove_project(self, project: str) -> None:
        """Remove the files of every run of a project that has no nodes."""
        if _PROJECT.fullmatch(project):
            self._remove(f"{project}@*")

    def _remove(self, pattern: str) -> None:
        with _usable(self.root):
            for folder in self.root.glob(pattern):
                secret_files.remove(folder)


@contextmanager
def hidden_env_file(creation: Creation) -> Iterator[Path | None]:
    """A file of a node's hidden variables, there for the block alone; None where it has none."""
    node = creation.node
    if not node.hidden_env:
        yield None
        return
    path = creation.private / f"{node.name}.env"
    with _usable(creation.private.parent):
        _write_env(creation, path)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _write_env(creation: Creation, path: Path) -> None:
    env = creation.env
    text = "".join(f"{name}={env[name]}\n" for name in creation.node.hidden_env)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)


@contextmanager
def _usable(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise FolderUnusable(
            f"the folder {root} cannot be used for secrets: {exc.strerror}",
            fix="make it yours and writable, or set XDG_STATE_HOME",
        ) from exc
