"""The probe as files that every user of a node can read, whatever they are where it was installed.

A checkout or a wheel has the modes that somebody's umask gave it, and may lie below a home that
nobody else may enter. So nodes see a copy, in a folder named by its content: those of an older
release keep theirs.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import orchestrator
from orchestrator.errors import FolderUnusable

SITE = Path(orchestrator.__file__).resolve().parent / "probe" / "site"
"""What goes first on PYTHONPATH: sitecustomize.py and the package that it starts."""

_FOLDER_MODE = 0o755
_FILE_MODE = 0o644


def place(root: Path, site: Path = SITE) -> Path:
    """The copy of the probe below `root`, made where it is not there or not whole.

    Raises:
        FolderUnusable: it cannot be written there.
    """
    try:
        return _place(root, _read(site))
    except OSError as exc:
        raise FolderUnusable(
            f"the folder {root} cannot be used for the probe: {exc.strerror}",
            fix="make it yours and writable, set XDG_STATE_HOME, or say probe: off",
        ) from exc


def _place(root: Path, files: Mapping[str, bytes]) -> Path:
    target = root / _digest(files)
    if _is_whole(target, files):
        return target
    root.mkdir(parents=True, exist_ok=True)
    part = root / f".{target.name}-{os.urandom(4).hex()}"
    try:
        _write(part, files)
        _put(part, target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return target


def _put(part: Path, target: Path) -> None:
    """Rename the copy into its place, where a damaged one may be."""
    damaged = part.with_name(f"{part.name}-damaged")
    with suppress(FileNotFoundError):
        target.rename(damaged)
    try:
        part.rename(target)
    except OSError as exc:
        # Another apply was quicker, with the same content.
        if exc.errno not in {errno.EEXIST, errno.ENOTEMPTY}:
            raise
    shutil.rmtree(damaged, ignore_errors=True)


def _read(site: Path) -> dict[str, bytes]:
    """`{path: content}` of every source file, by path."""
    paths = sorted(path for path in site.rglob("*.py") if path.is_file())
    return {path.relative_to(site).as_posix(): path.read_bytes() for path in paths}


def _digest(files: Mapping[str, bytes]) -> str:
    import hashlib  # loads OpenSSL: only who starts nodes pays for it

    digest = hashlib.sha256()
    for path, content in files.items():
        digest.update(f"{path}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:16]


def _is_whole(target: Path, files: Mapping[str, bytes]) -> bool:
    try:
        return _read(target) == files and all(
            _is_open(path) for path in [target, *target.rglob("*")]
        )
    except OSError:
        return False


def _is_open(path: Path) -> bool:
    mode = _FOLDER_MODE if path.is_dir() else _FILE_MODE
    return path.stat().st_mode & 0o777 == mode


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    for path in [folder, *folder.rglob("*")]:
        os.chmod(path, _FOLDER_MODE if path.is_dir() else _FILE_MODE)
