"""Packs texts into one `.tar.gz`: redacted, bounded, each told in a manifest, in a fixed order."""

from __future__ import annotations

import errno
import gzip
import hashlib
import io
import json
import os
import stat
import tarfile
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, Final

from msgspec import Struct, field

from orchestrator.errors import FolderUnusable
from orchestrator.redaction import redacted_chunks, redacted_document

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
HEAD_BYTES: Final = 1024 * 1024
TAIL_BYTES: Final = 3 * 1024 * 1024
"""Of a larger file its beginning, where the settings are told, and its end, where it failed."""

_CHUNK_BYTES = 256 * 1024


class Packed(Struct, frozen=True):
    """A file of the bundle; `of_bytes` is how large it was where it was cut."""

    name: str
    num_bytes: int
    sha256: str
    of_bytes: int | None = None

    def document(self) -> dict[str, Any]:
        """The same for the manifest."""
        cut = {} if self.of_bytes is None else {"cut_from_bytes": self.of_bytes}
        return {"name": self.name, "bytes": self.num_bytes, "sha256": self.sha256, **cut}


class Bundle(Struct):
    """What goes into a bundle. The files lie in a folder of their own until it is written."""

    folder: Path
    about: dict[str, Any]
    packed: dict[str, Packed] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, chunks: Iterable[bytes]) -> None:
        """Take a text in; a known secret in it is hidden, its middle left out if it is large."""
        path = self.folder / f"{len(self.packed)}"
        with path.open("w+b") as file:
            num_bytes = _write_bounded(redacted_chunks(chunks), file)
            size = file.tell()
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        path.rename(self.folder / digest)
        self.packed[name] = Packed(name, size, digest, num_bytes if num_bytes != size else None)

    def add_json(self, name: str, document: object) -> None:
        """Take a document in."""
        text = json.dumps(redacted_document(document), indent=1, sort_keys=True)
        self.add(name, [text.encode() + b"\n"])

    def leave_out(self, name: str, why: str) -> None:
        """Say what is not in it, and why."""
        self.left_out[name] = why

    @property
    def manifest(self) -> dict[str, Any]:
        """What is in it and what is not."""
        document: object = {
            "format": FORMAT,
            **self.about,
            "files": [self.packed[name].document() for name in sorted(self.packed)],
            "left_out": [{"name": name, "why": why} for name, why in sorted(self.left_out.items())],
        }
        found: Any = redacted_document(document)
        return dict(found)

    def write(self, path: Path) -> None:
        """Write the bundle in one step, for its owner alone.

        The same files give the same bytes: no times, no owners, sorted names, manifest first.

        Raises:
            FolderUnusable: it cannot be written.
        """
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                self._write(file, path.name.removesuffix(".gz").removesuffix(".tar"))
            part.replace(path)
        except OSError as exc:
            part.unlink(missing_ok=True)
            raise FolderUnusable(
                f"the bundle {path} cannot be written: {exc.strerror}", fix="choose another --out"
            ) from exc

    def _write(self, file: IO[bytes], root: str) -> None:
        with (
            gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
        ):
            manifest = json.dumps(self.manifest, indent=1).encode() + b"\n"
            tar.addfile(_member(f"{root}/{MANIFEST}", len(manifest)), io.BytesIO(manifest))
            for name in sorted(self.packed):
                each = self.packed[name]
                with (self.folder / each.sha256).open("rb") as content:
                    tar.addfile(_member(f"{root}/{name}", each.num_bytes), content)


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    return member


def _write_bounded(chunks: Iterable[bytes], file: IO[bytes]) -> int:
    """Write the head, and the tail of what is longer; return how long it was."""
    num_bytes, tail, tail_bytes = 0, deque[bytes](), 0
    for chunk in chunks:
        room = max(HEAD_BYTES - num_bytes, 0)
        num_bytes += len(chunk)
        file.write(chunk[:room])
        tail.append(chunk[room:])
        tail_bytes += len(tail[-1])
        while tail_bytes - len(tail[0]) >= TAIL_BYTES:
            tail_bytes -= len(tail.popleft())
    end = b"".join(tail)[-TAIL_BYTES:]
    if num_bytes > HEAD_BYTES + len(end):
        file.write(b"\n[... %d bytes left out ...]\n" % (num_bytes - HEAD_BYTES - len(end)))
    file.write(end)
    return num_bytes


def chunks_of(path: Path) -> Iterator[bytes]:
    """The bytes of a regular file; nothing else is followed or waited for. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk
