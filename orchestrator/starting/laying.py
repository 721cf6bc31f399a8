"""Files of a first playbook -> a folder, where nothing is overwritten unasked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from orchestrator.errors import FolderUnusable, NameTaken, OrchestrateError


class Laid(Struct, frozen=True):
    """What became of the files: made, replaced, or left as they were since they are the same."""

    made: tuple[Path, ...]
    replaced: tuple[Path, ...]


def lay(
    folder: Path,
    files: Mapping[str, bytes],
    *,
    force: bool,
    check: Callable[[], None] | None = None,
) -> Laid:
    """Write files, all of them or none.

    Args:
        folder: made if it is not there.
        files: contents by path in the folder; the playbook is the last.
        force: whether a file of other content is replaced.
        check: raises an error if the playbook does not hold where all else is in place.

    Raises:
        NameTaken: a file of other content is there, and `force` does not say to replace it.
        FolderUnusable: a file cannot be read or written.
    """
    paths = {folder / name: content for name, content in files.items()}
    try:
        differing = [path for path, content in paths.items() if _differs(path, content)]
        if differing and not force:
            more = f", and {len(differing) - 1} more" if len(differing) > 1 else ""
            raise NameTaken(
                f"{differing[0]} is there already{more}",
                fix="name another file, or say --force to replace what is there",
            )
        made = [path for path in paths if not path.exists()]
        *others, playbook = paths
        _write({path: paths[path] for path in others if path in {*made, *differing}})
        if check is not None:
            _checked(check, [path for path in made if path != playbook])
        if playbook in {*made, *differing}:
            _write({playbook: paths[playbook]})
    except OSError as exc:
        where = exc.filename or folder
        raise FolderUnusable(f"{where}: {(exc.strerror or str(exc)).lower()}") from exc
    return Laid(tuple(made), tuple(differing))


def _write(files: Mapping[Path, bytes]) -> None:
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _checked(check: Callable[[], None], made: list[Path]) -> None:
    """Take away what was made for a playbook that does not hold."""
    try:
        check()
    except OrchestrateError:
        for path in made:
            path.unlink()
        for folder in sorted({parent for path in made for parent in path.parents}, reverse=True):
            with suppress(OSError):  # it holds something else, or is not ours to remove
                folder.rmdir()
        raise


def _differs(path: Path, content: bytes) -> bool:
    return path.exists() and (not path.is_file() or path.read_bytes() != content)
