"""Files of PyTorch's source that are in no wheel, out of the source archive that Debian keeps.

No more of the archive is fetched than it takes to find a file; what was found is kept for the
next time, and is what it was by its checksum.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
import time
import urllib.request

from tests.e2e.newer_engine import MIRROR, cache_folder

ARCHIVE = f"{MIRROR}/pool/main/p/pytorch/pytorch_2.6.0+dfsg.orig.tar.xz"
TRIES = 3
DEADLINE_S = 120.0


def pytorch_file(path: str, sha256: str) -> bytes:
    """A file of PyTorch 2.6.0 by its path in the repository."""
    kept = cache_folder() / f"pytorch-{sha256}"
    if not kept.exists():
        part = kept.with_name(f"{kept.name}.{os.getpid()}.part")
        part.write_bytes(_fetched(path))
        part.replace(kept)
    content = kept.read_bytes()
    assert hashlib.sha256(content).hexdigest() == sha256
    return content


def _fetched(path: str) -> bytes:
    """As apt does with its own files, a mirror that drops the connection is asked again."""
    for number in range(1, TRIES + 1):
        try:
            return _streamed(path)
        except (OSError, EOFError, tarfile.TarError):
            if number == TRIES:
                raise
            time.sleep(2**number)
    raise AssertionError("the last try returns or raises")


def _streamed(path: str) -> bytes:
    with (
        urllib.request.urlopen(ARCHIVE, timeout=DEADLINE_S) as answer,
        tarfile.open(fileobj=answer, mode="r|xz") as archive,
    ):
        member = next(each for each in archive if each.name.partition("/")[2] == path)
        file = archive.extractfile(member)
        assert file is not None
        return file.read()
