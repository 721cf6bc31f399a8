"""The digest of a build's inputs: what changes it and what does not."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from orchestrator.errors import ImageUnavailable
from orchestrator.images.recipe import BuildRecipe, inputs_digest, requirements_of


@pytest.fixture
def recipe(tmp_path: Path) -> BuildRecipe:
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker" / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "docker" / "requirements.txt").write_text("torch==2.13.0\n")
    (tmp_path / "trainer").mkdir()
    (tmp_path / "trainer" / "a.py").write_text("a")
    (tmp_path / "trainer" / "link").symlink_to("a.py")
    (tmp_path / "notes.txt").write_text("shut out")
    (tmp_path / ".dockerignore").write_text("*\n!trainer\n")
    args = (("A", "1"), ("B", "2"))
    return BuildRecipe("x:1", tmp_path, tmp_path / "docker" / "Dockerfile", args)


def test_the_requirements_are_those_told_or_those_beside_the_dockerfile(
    recipe: BuildRecipe, tmp_path: Path
) -> None:
    told = replace(recipe, requirements=tmp_path / "told.txt")

    assert requirements_of(told) == tmp_path / "told.txt"
    assert requirements_of(recipe) == tmp_path / "docker" / "requirements.txt"
    (tmp_path / "docker" / "requirements.txt").unlink()
    assert requirements_of(recipe) is None


def test_the_digest_has_a_version_and_comes_out_the_same(recipe: BuildRecipe) -> None:
    digest = inputs_digest(recipe)

    assert re.fullmatch(r"v1:sha256[0-9a-f]{64}", digest)
    assert inputs_digest(replace(recipe, args=tuple(reversed(recipe.args)))) == digest


def _touch(root: Path) -> None:
    os.utime(root / "trainer" / "a.py", (1, 1))


def _edit_what_is_shut_out(root: Path) -> None:
    (root / "notes.txt").write_text("other")


def _chmod_without_x(root: Path) -> None:
    (root / "trainer" / "a.py").chmod(0o600)


def _add_wheels(root: Path) -> None:
    (root / "wheels").mkdir()
    (root / "wheels" / "torch.whl").write_text("")


@pytest.mark.parametrize("change", [_touch, _edit_what_is_shut_out, _chmod_without_x, _add_wheels])
def test_what_does_not_reach_the_image_does_not_change_it(
    change: Callable[[Path], None], recipe: BuildRecipe
) -> None:
    before = inputs_digest(recipe)
    change(recipe.context)

    assert inputs_digest(recipe) == before


def _edit(root: Path) -> None:
    (root / "trainer" / "a.py").write_text("b")


def _make_executable(root: Path) -> None:
    (root / "trainer" / "a.py").chmod(0o755)


def _rename(root: Path) -> None:
    (root / "trainer" / "a.py").rename(root / "trainer" / "b.py")


def _add_folder(root: Path) -> None:
    (root / "trainer" / "empty").mkdir()


def _turn_link(root: Path) -> None:
    (root / "trainer" / "link").unlink()
    (root / "trainer" / "link").symlink_to("b.py")


def _edit_dockerfile(root: Path) -> None:
    (root / "docker" / "Dockerfile").write_text("FROM other\n")


def _edit_ignore_file(root: Path) -> None:
    (root / ".dockerignore").write_text("*\n!trainer\n!notes.txt\n")


@pytest.mark.parametrize(
    "change",
    [
        _edit,
        _make_executable,
        _rename,
        _add_folder,
        _turn_link,
        _edit_dockerfile,
        _edit_ignore_file,
    ],
)
def test_what_reaches_the_image_changes_it(
    change: Callable[[Path], None], recipe: BuildRecipe
) -> None:
    before = inputs_digest(recipe)
    change(recipe.context)

    assert inputs_digest(recipe) != before


def test_build_arguments_change_it_and_the_tag_does_not(recipe: BuildRecipe) -> None:
    assert inputs_digest(replace(recipe, args=(("A", "2"), ("B", "2")))) != inputs_digest(recipe)
    assert inputs_digest(replace(recipe, tag="y:2")) == inputs_digest(recipe)


def test_a_missing_dockerfile_is_one_line(recipe: BuildRecipe) -> None:
    recipe.dockerfile.unlink()

    with pytest.raises(ImageUnavailable) as caught:
        inputs_digest(recipe)

    assert str(caught.value) == (
        "an input of image x:1 cannot be read: [Errno 2] No such file or directory: "
        f"'{recipe.dockerfile}'; correct image.build in the playbook"
    )


def test_a_missing_context_is_one_line(recipe: BuildRecipe, tmp_path: Path) -> None:
    with pytest.raises(ImageUnavailable, match=r"the build context .*gone cannot be read"):
        inputs_digest(replace(recipe, context=tmp_path / "gone"))
