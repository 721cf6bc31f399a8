"""The folders that are the embedded engine's objects: `<root>/<project>/node-<rank>/`.

Nothing is ever followed through a symbolic link, and nothing is removed that this
engine did not write: a folder is a node's when it holds our record, or is still empty.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from orchestrator.engines import secret_files
from orchestrator.engines.local.root import ENV_ROOT
from orchestrator.engines.local.supervisor import (
    EXIT_FILE,
    INDEX_FILE,
    LOCK_FILE,
    LOG_FILE,
    NODE_FILE,
    PROCESS_FILE,
    STDERR_FILE,
)
from orchestrator.errors import EngineFailed, NameTaken, OrchestrateError, OutOfSpace

SECRETS = "secrets"
"""The folder, in a node's, of the secrets that it was given."""

_PROJECT = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_NODE = re.compile(r"node-(0|[1-9][0-9]{0,5})")
_FULL = {errno.ENOSPC, errno.EDQUOT}

# The record goes last: while it is there, what is left is known to be ours.
_FILES = (
    EXIT_FILE,
    f"{EXIT_FILE}.part",
    PROCESS_FILE,
    f"{PROCESS_FILE}.part",
    LOG_FILE,
    INDEX_FILE,
    STDERR_FILE,
    LOCK_FILE,
    f"{NODE_FILE}.part",
    NODE_FILE,
)


@contextmanager
def typed_errors(doing: str) -> Iterator[None]:
    """Turn what the operating system refuses inside the block into our types."""
    try:
        yield
    except OSError as error:
        raise _to_error(error, doing) from error


def _to_error(error: OSError, doing: str) -> OrchestrateError:
    where = f": {error.filename}" if error.filename else ""
    what = f"{doing}: {(error.strerror or str(error)).lower()}{where}"
    if error.errno in _FULL:
        return OutOfSpace(what, fix=f"free some space, or put {ENV_ROOT} on another disk")
    return EngineFailed(
        what, fix=f"make the folder yours and writable, or set {ENV_ROOT} to one that is"
    )


class NodeFolder(Struct, frozen=True):
    """The place of one node, whether there is anything or not."""

    root: Path
    project: str
    node_rank: int

    @property
    def path(self) -> Path:
        """The absolute path of the folder."""
        return self.root / self.project / f"node-{self.node_rank}"

    @property
    def node_name(self) -> str:
        """The name that a node of this place bears."""
        return f"{self.project}-node-{self.node_rank}"

    @property
    def is_real(self) -> bool:
        """True when it is a folder itself, not a link to one."""
        return _is_real_folder(self.path)

    @property
    def has_record(self) -> bool:
        """True when it holds a record of ours, readable or not."""
        return os.path.lexists(self.path / NODE_FILE)

    @property
    def is_unborn(self) -> bool:
        """True when it holds nothing yet but, at most, a record that was not finished."""
        return set(os.listdir(self.path)) <= {f"{NODE_FILE}.part"}


def project_names(root: Path) -> list[str]:
    """Names of the folders that may be projects of the current user, sorted."""
    return sorted(
        name
        for name in _listed(root)
        if _PROJECT.fullmatch(name)
        and _is_real_folder(root / name)
        and (root / name).lstat().st_uid == os.geteuid()
    )


def node_folders(root: Path, project: str) -> list[NodeFolder]:
    """Everything in the project's folder that bears a node's name, in rank order.

    Raises:
        EngineFailed: the project's folder is another user's, or a link.
    """
    if not _PROJECT.fullmatch(project) or not _is_ours(root / project):
        return []
    ranks = [int(match[1]) for name in _listed(root / project) if (match := _NODE.fullmatch(name))]
    return [NodeFolder(root, project, rank) for rank in sorted(ranks)]


def create_node_folder(folder: NodeFolder) -> None:
    """Make the folder, private to the user.

    Raises:
        NameTaken: something is there already.
        EngineFailed: the project's folder is another user's, or a link, or no project's name.
    """
    if not _PROJECT.fullmatch(folder.project):
        raise EngineFailed(f"{folder.project!r} cannot be a project's name")
    os.makedirs(folder.root, mode=0o700, exist_ok=True)
    project = folder.path.parent
    if not _is_ours(project):
        project.mkdir(mode=0o700, exist_ok=True)
    try:
        folder.path.mkdir(mode=0o700)
    except FileExistsError as error:
        raise NameTaken(
            f"cannot start node {folder.node_name}: {folder.path} is there already",
            fix="destroy the project first",
        ) from error


def remove_node_folder(folder: NodeFolder) -> None:
    """Remove a dead node's folder, and the project's if it was the last; gone is no error.

    Raises:
        EngineFailed: it holds files that this engine did not write; they are left alone.
    """
    if not folder.is_real:
        return
    secret_files.remove(folder.path / SECRETS)
    for name in _FILES:
        (folder.path / name).unlink(missing_ok=True)
    try:
        folder.path.rmdir()
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno != errno.ENOTEMPTY:
            raise
        raise EngineFailed(
            f"{folder.path} holds files that orchestrate did not put there",
            fix="move them away, then remove the folder",
        ) from error
    remove_project_if_empty(folder.path.parent)


def remove_project_if_empty(project: Path) -> None:
    """Remove the project's folder when no node is left in it."""
    try:
        project.rmdir()
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.ENOENT}:
            raise


def _is_ours(project: Path) -> bool:
    """True when it is there and the current user's; False when it is not there."""
    try:
        found = project.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    if not stat.S_ISDIR(found.st_mode):
        raise EngineFailed(f"{project} is not a folder", fix=f"remove it, or set {ENV_ROOT}")
    if found.st_uid != os.geteuid():
        raise EngineFailed(
            f"{project} belongs to another user (uid {found.st_uid})",
            fix=f"run as that user, or set {ENV_ROOT} to a folder of your own",
        )
    return True


def _is_real_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _listed(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []
