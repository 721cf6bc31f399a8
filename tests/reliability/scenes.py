"""What orchestrate is doing when it is killed, and what must hold after it is run again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.e2e.conftest import Desk, Ran, docker
from tests.waiting import wait_until

from .world import RUNS_ON, engine_of, left_of, lost_logs, pending, write

SECRET = "RELIABILITY_TOKEN"
"""The variable that the scene with a secret takes it from; set for all tests here."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A command, and what is there before it is typed."""

    name: str
    prepare: Callable[[Desk], None]
    verb: str = "apply"

    @property
    def slug(self) -> str:
        """The name, as a test's id."""
        return self.name.replace(" ", "-")

    def command(self, desk: Desk) -> tuple[str, ...]:
        """What is typed."""
        if self.verb == "destroy":
            return ("destroy", "--engine", desk.engine, desk.project)
        return ("apply", "--engine", desk.engine, "playbook.yaml")


def _nothing_there(desk: Desk) -> None:
    pass


def _applied(desk: Desk) -> None:
    expect_ok(desk.apply("--detach"))
    engine = engine_of(desk)
    nodes = engine.observe_nodes(desk.project)

    def all_have_spoken() -> bool:
        said: list[object] = []
        engine.read_logs(nodes, said.append)
        return len(said) >= len(nodes)

    wait_until(all_have_spoken)  # so that their logs can be told from lost ones


def _edited(desk: Desk) -> None:
    _applied(desk)
    write(desk, f"{RUNS_ON} # edited")


def _one_killed(desk: Desk) -> None:
    _applied(desk)
    if desk.engine == "docker":
        docker("kill", f"{desk.project}-node-1")
        return
    engine = engine_of(desk)
    engine.stop_nodes(engine.observe_nodes(desk.project)[1:], grace_s=0.0)


def _with_secret(desk: Desk) -> None:
    write(desk, RUNS_ON, ranks=desk.ranks(RUNS_ON, f", secrets: [{SECRET.lower()}]"))


def _with_build(desk: Desk) -> None:
    context = desk.folder / "image"
    context.mkdir()
    (context / "Dockerfile").write_text(f"FROM {desk.image}\nENV MADE_FOR={desk.project}\n")
    tag = built_tag(desk)
    write(desk, RUNS_ON, image=f"image: {{tag: '{tag}', build: {{context: image}}}}")


def built_tag(desk: Desk) -> str:
    """The image that the build scene makes."""
    return f"orchestrate-test-built:{desk.project}"


FIRST_APPLY = Scene("first apply", _nothing_there)
EDITED = Scene("apply of an edited playbook", _edited)
ONE_KILLED = Scene("apply after a node was killed", _one_killed)
WITH_BUILD = Scene("first apply with an image to build", _with_build)
WITH_SECRET = Scene("first apply with a secret", _with_secret)
DESTROY = Scene("destroy", _applied, verb="destroy")

SCENES = (FIRST_APPLY, EDITED, ONE_KILLED, WITH_BUILD, WITH_SECRET, DESTROY)
LOCAL_SCENES = (FIRST_APPLY, EDITED, DESTROY)


def expect_ok(ran: Ran) -> None:
    """The command did what it was asked, and had no more to say than it should."""
    assert (ran.code, "Traceback" in ran.err) == (0, False), f"{ran.out}\n{ran.err}"


def recover(desk: Desk, verb: str) -> None:
    """Run orchestrate again after it was killed: what it was asked for must hold then."""
    if verb == "apply":
        expect_ok(desk.apply())
        assert pending(desk) == []
        assert unfinished(desk) == []
    expect_ok(desk.destroy("--grace", "1"))
    assert left_of(desk) == []
    assert lost_logs(desk) == []


def unfinished(desk: Desk) -> list[str]:
    """What no command may leave but one that was killed: parts of files, temporary ones."""
    kept = (desk.folder / ".orchestrate", desk.folder / "state", desk.folder / "cache")
    parts = [str(path) for folder in kept for path in folder.rglob("*.part")]
    return parts + [str(path) for path in (desk.folder / "tmp").iterdir()]
