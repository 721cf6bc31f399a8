"""The builder's ways, against a docker that behaves like a dictionary."""

from __future__ import annotations

import json
import re
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from msgspec.structs import replace

from orchestrator.errors import ImageUnavailable
from orchestrator.images.builder import ImageBuilder
from orchestrator.images.reach import Reach
from orchestrator.images.recipe import BuildRecipe, inputs_digest

BASE = "orchestrate-base:bookworm-py311"
UNREACHABLE = "dial tcp: lookup registry: no such host"


@dataclass
class World:
    """A fake engine, a project to build and what was said on the way."""

    home: Path
    project: Path
    cache: Path
    said: list[str]

    @property
    def docker(self) -> list[str]:
        return [sys.executable, str(Path(__file__).with_name("fake_docker.py"))]

    @property
    def recipe(self) -> BuildRecipe:
        # the wheel is found in a folder, so that no test needs a network
        args = (("PIP_INDEX_ARGS", f"--no-index --find-links {self.home}"),)
        return BuildRecipe("x:1", self.project, self.project / "docker" / "Dockerfile", args)

    def build(self, reach: Reach = Reach.AUTO) -> str:
        builder = ImageBuilder(self.docker, reach=reach, cache_dir=self.cache)
        return builder.build(self.recipe, self.said.append)

    def has_image(self, reference: str) -> None:
        path = self.home / "images.json"
        images = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps(images | {reference: {"orchestrate.base": "v1"}}))

    def fail_build(self, text: str) -> None:
        (self.home / "build-fails").mkdir(exist_ok=True)
        (self.home / "build-fails" / "1").write_text(text)

    def calls(self) -> list[str]:
        """The verbs used, probes by their purpose."""
        return [_verb(call["argv"]) for call in self._calls() if isinstance(call["argv"], list)]

    def last_build(self) -> dict[str, object]:
        return next(call for call in reversed(self._calls()) if "files" in call)

    def _calls(self) -> list[dict[str, object]]:
        lines = (self.home / "calls.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]


def _verb(argv: list[str]) -> str:
    if argv[0] == "run":
        return "ask index" if "sh" in argv else "ask python"
    return f"inspect {argv[-1]}" if argv[0] == "image" else argv[0]


def _make_wheel(folder: Path) -> None:
    with zipfile.ZipFile(folder / "tiny_pkg-1-py3-none-any.whl", "w") as wheel:
        info = "tiny_pkg-1.dist-info"
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-pkg\nVersion: 1\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(tmp_path / "home", tmp_path / "project", tmp_path / "cache", [])
    (world.project / "docker").mkdir(parents=True)
    world.home.mkdir()
    _make_wheel(world.home)
    (world.home / "pull").write_text(UNREACHABLE)
    (world.project / "docker" / "Dockerfile").write_text("FROM python:3.11-slim\nCOPY a /a\n")
    (world.project / "docker" / "requirements.txt").write_text("tiny-pkg==1\n")
    (world.project / "a").write_text("a")
    (world.project / ".dockerignore").write_text("*\n!a\n")
    monkeypatch.setenv("FAKE_DOCKER", str(world.home))
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "mmdebstrap").write_text('#!/bin/sh\nfor last; do :; done\necho packed > "$last"\n')
    (tools / "mmdebstrap").chmod(0o755)
    monkeypatch.setenv("PATH", str(tools), prepend=":")
    return world


def test_online_builds_in_the_ordinary_way(world: World) -> None:
    world.has_image("python:3.11-slim")

    assert world.build() == "sha256:x:1"

    build = world.last_build()
    assert world.calls() == [
        *("inspect python:3.11-slim", "ask index", "buildx", "build", "inspect x:1"),
    ]
    assert (build["files"], build["dockerfile"], build["buildkit"]) == (
        ["a"],
        "FROM python:3.11-slim\nCOPY a /a\n",
        "0",
    )
    assert build["argv"] == [
        *("build", "--tag", "x:1", "--file", _any_scratch(build, "--file"), "--force-rm"),
        *("--build-arg", f"PIP_INDEX_ARGS=--no-index --find-links {world.home}"),
        *("--label", f"orchestrate.build_inputs={inputs_digest(world.recipe)}"),
        _any_scratch(build, "--file").replace("Dockerfile", "context"),
    ]
    assert world.said == [
        "trying whether a build can reach the package index",
        "building image x:1",
        "Successfully built",
    ]


def _any_scratch(build: dict[str, object], option: str) -> str:
    """The path after an option; scratch folders have random names."""
    argv = build["argv"]
    assert isinstance(argv, list)
    return str(argv[argv.index(option) + 1])


def test_no_registry_makes_a_base_and_builds_without_network(world: World) -> None:
    assert world.build() == "sha256:x:1"

    build = world.last_build()
    assert world.calls() == [
        *("inspect python:3.11-slim", "pull", f"inspect {BASE}", "import"),
        *("ask python", "buildx", "build", "inspect x:1"),
    ]
    assert (build["files"], build["dockerfile"]) == (
        ["a", "wheels/tiny_pkg-1-py3-none-any.whl"],
        f"FROM {BASE}\nCOPY a /a\n",
    )
    argv = build["argv"]
    assert isinstance(argv, list)
    assert "PIP_INDEX_ARGS=--no-index --find-links /deps" in argv
    assert argv[argv.index("--network") + 1] == "none"
    assert "offline build: no registry can be reached for python:3.11-slim" in world.said


def test_no_index_builds_offline_on_the_base_that_is_here(world: World) -> None:
    world.has_image("python:3.11-slim")
    (world.home / "no-index").touch()

    world.build()

    build = world.last_build()
    assert (build["files"], build["dockerfile"]) == (
        ["a", "wheels/tiny_pkg-1-py3-none-any.whl"],
        "FROM python:3.11-slim\nCOPY a /a\n",
    )
    assert "offline build: no package index can be reached from inside a build" in world.said


def test_a_base_that_cannot_be_asked_is_tried_and_then_built_offline(world: World) -> None:
    world.has_image("python:3.11-slim")
    (world.home / "no-pip").touch()
    world.fail_build("WARNING: Retrying (Retry(total=0)) after connection broken by SSLError")

    assert world.build() == "sha256:x:1"

    assert world.calls() == [
        *("inspect python:3.11-slim", "ask index", "buildx", "build"),
        *("ask python", "build", "inspect x:1"),
    ]
    assert "offline build: the package index could not be reached from the build" in world.said


def test_buildx_is_used_where_it_is(world: World) -> None:
    world.has_image("python:3.11-slim")
    (world.home / "buildx").touch()

    world.build()

    build = world.last_build()
    argv = build["argv"]
    assert isinstance(argv, list)
    assert (build["buildkit"], "--force-rm" in argv) == ("1", False)
    assert argv[argv.index("--progress") + 1] == "plain"


def test_a_rebuild_asks_nobody_again(world: World) -> None:
    world.build()
    before = len(world.calls())

    world.build()

    assert world.calls()[before:] == [
        *(f"inspect {BASE}", "ask python", "buildx", "build", "inspect x:1"),
    ]


def test_a_finding_that_no_longer_holds_is_looked_at_again(world: World) -> None:
    world.has_image("python:3.11-slim")
    world.build()
    (world.home / "no-index").touch()
    world.fail_build("ERROR: No matching distribution found for tiny-pkg")
    before = len(world.calls())

    assert world.build() == "sha256:x:1"

    assert world.calls()[before:] == [
        *("buildx", "build", "inspect python:3.11-slim", "ask index"),
        *("ask python", "build", "inspect x:1"),
    ]


def test_a_broken_dockerfile_is_built_once_and_told_in_one_line(world: World) -> None:
    world.has_image("python:3.11-slim")
    world.build()
    world.fail_build("Step 2/2 : COPY b /b\nCOPY failed: no such file b")
    before = world.calls().count("build")

    with pytest.raises(ImageUnavailable) as caught:
        world.build()

    assert world.calls().count("build") == before + 1
    pattern = (
        r"building image x:1 failed at `COPY b /b`: COPY failed: no such file b; "
        r"the whole log is (/.*/cache/logs/\d{8}T\d{6}-x-1\.log)"
    )
    match = re.fullmatch(pattern, str(caught.value))
    assert match is not None
    assert "COPY failed: no such file b" in Path(match[1]).read_text()


def test_an_image_on_nothing_needs_nothing(world: World) -> None:
    (world.project / "docker" / "Dockerfile").write_text("FROM scratch\nCOPY a /a\n")

    world.build(Reach.OFFLINE)

    assert world.calls() == ["buildx", "build", "inspect x:1"]
    assert world.last_build()["files"] == ["a"]


def test_unbalanced_quotes_are_told(world: World) -> None:
    recipe = replace(world.recipe, args=(("PIP_INDEX_ARGS", "--index-url 'x"),))

    with pytest.raises(ImageUnavailable) as caught:
        ImageBuilder(world.docker, cache_dir=world.cache).build(recipe, world.said.append)

    assert str(caught.value) == (
        "build argument PIP_INDEX_ARGS cannot be split into words: No closing quotation; "
        "mend its quotes in image.build.args"
    )


def test_the_environment_is_the_switch(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHESTRATE_OFFLINE", "0")

    ImageBuilder(world.docker, cache_dir=world.cache).build(world.recipe, world.said.append)

    assert world.calls() == ["buildx", "build", "inspect x:1"]


def test_the_switch_off_never_asks(world: World) -> None:
    world.build(Reach.ONLINE)

    assert world.calls() == ["buildx", "build", "inspect x:1"]


def test_the_switch_on_never_pulls(world: World) -> None:
    world.has_image("python:3.11-slim")

    world.build(Reach.OFFLINE)

    assert world.calls() == [
        *("inspect python:3.11-slim", "ask python", "buildx", "build", "inspect x:1"),
    ]


def test_a_base_that_cannot_be_replaced_is_an_error_with_a_way_out(world: World) -> None:
    (world.project / "docker" / "Dockerfile").write_text("FROM pytorch/pytorch:2\n")

    with pytest.raises(ImageUnavailable) as caught:
        world.build()

    assert str(caught.value) == (
        "base image pytorch/pytorch:2 is not here and no registry can be reached for it; "
        "bring it with `docker save pytorch/pytorch:2` there and `docker load` here"
    )


def test_a_wrong_base_name_is_not_replaced(world: World) -> None:
    (world.home / "pull").write_text("manifest for python:3.11-slim not found: manifest unknown")

    with pytest.raises(ImageUnavailable, match=r"pulling base image .* manifest unknown"):
        world.build()

    assert "build" not in world.calls()


def test_wheels_that_do_not_exist_are_told_and_leave_nothing(world: World) -> None:
    (world.project / "docker" / "requirements.txt").write_text("tiny-pkg==9\n")

    with pytest.raises(ImageUnavailable) as caught:
        world.build()

    assert "`pip download -r requirements.txt` failed: ERROR: No matching distribution" in str(
        caught.value
    )
    assert not list(world.cache.glob("wheels/*"))
    assert not (world.cache / "scratch").exists()


def test_ctrl_c_leaves_no_scratch_folder(world: World) -> None:
    def interrupt(_line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ImageBuilder(world.docker, cache_dir=world.cache).build(world.recipe, interrupt)

    assert not (world.cache / "scratch").exists()


def test_the_checkout_is_not_written_to(world: World) -> None:
    before = sorted(world.project.rglob("*"))

    world.build()

    assert sorted(world.project.rglob("*")) == before


def test_wheels_are_fetched_once(world: World) -> None:
    world.build()
    (world.home / "tiny_pkg-1-py3-none-any.whl").unlink()

    assert world.build() == "sha256:x:1"
    assert len(list(world.cache.glob("wheels/*/*.whl"))) == 1
