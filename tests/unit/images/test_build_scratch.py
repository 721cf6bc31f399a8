"""The cache folder: one build at a time, nothing half done left."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from orchestrator.errors import ImageUnavailable
from orchestrator.images.scratch import exclusive_scratch


def test_what_a_killed_build_left_is_cleared(tmp_path: Path) -> None:
    (tmp_path / "scratch" / "half").mkdir(parents=True)

    with exclusive_scratch(tmp_path, 1, print) as scratch:
        assert list(scratch.iterdir()) == []
        (scratch / "new").touch()

    assert [p.name for p in tmp_path.iterdir()] == ["lock"]


def test_a_second_build_waits_says_so_and_gives_up(tmp_path: Path) -> None:
    said: list[str] = []
    with (tmp_path / "lock").open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with (
            pytest.raises(ImageUnavailable) as caught,
            exclusive_scratch(tmp_path, 0.5, said.append),
        ):
            raise AssertionError("two builds at once")

    assert said == ["waiting for another image build"]
    assert str(caught.value) == (
        f"another image build has held {tmp_path}/lock for 0.5 s; wait for it or end it"
    )


def test_a_cache_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with (
        pytest.raises(ImageUnavailable) as caught,
        exclusive_scratch(tmp_path / "file" / "cache", 1, print),
    ):
        raise AssertionError("no cache, and yet a scratch folder")

    assert str(caught.value).startswith(
        f"opening the image cache {tmp_path}/file/cache failed: [Errno 20] Not a directory"
    )


def test_the_lock_is_free_afterwards(tmp_path: Path) -> None:
    for _ in range(2):
        with exclusive_scratch(tmp_path, 0, print) as scratch:
            assert scratch.is_dir()
