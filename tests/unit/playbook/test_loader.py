"""Good playbooks as whole models, bad files, and that nothing but InvalidPlaybook escapes."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.errors import ExitCode, Fault, InvalidPlaybook
from orchestrator.playbook.loaded import LoadedPlaybook
from orchestrator.playbook.loader import load, load_text
from orchestrator.playbook.models import (
    Build,
    Completed,
    Gpu,
    Image,
    Joined,
    Loss,
    Mount,
    Network,
    PerNode,
    Playbook,
    Progress,
    Ranks,
    Rendezvous,
    Resources,
    Restarts,
    Security,
    Training,
)
from orchestrator.playbook.reference import EXAMPLE

LEAST = """\
version: 1
name: x
image: {tag: app}
ranks: {nodes: 1, command: [python, train.py]}
"""
LEAST_PLAYBOOK = Playbook(
    version=1,
    name="x",
    image=Image(tag="app", build=None, pull="missing"),
    network=Network(name=None, internal=True, external=False),
    ranks=Ranks(
        nodes=1,
        nproc_per_node=1,
        command=("python", "train.py"),
        env={},
        mounts=(),
        resources=Resources(cpus=None, memory_bytes=None, shm_bytes=None, pids=None),
        user=None,
        per_node={},
    ),
    rendezvous=Rendezvous(backend="auto", port=29500, timeout_s=60.0),
    gpu=Gpu(mode="cpu"),
    security=Security(profile="default"),
    health_checks=(),
    restarts=Restarts(max=0, delay_s=0.0),
    on_failure="stop",
)

FULL = """\
version: 1
name: full
image:
  tag: images.example:5000/team/app:1.0
  build: {context: .., dockerfile: d/Dockerfile, args: {A: "1"}, requirements: d/r.txt}
  pull: never
network: {name: lab, internal: false, external: true}
ranks:
  nodes: 3
  nproc_per_node: 2
  command: [python, -c, "print(1)\\n"]
  env: &env {OMP_NUM_THREADS: "1", ON: yes, TIME: 22:22, DAY: "2024-01-01"}
  mounts:
    - {source: ./data, target: /data}
    - {source: ../d, target: /out/, read_only: false, outside: true}
  resources: {cpus: 2, memory: 1.5MiB8, shm_size: 64000000, pids: 99}
  user: 1000:1000
  per_node:
    0: {env: *env}
    2: {resources: {cpus: 0.5}}
rendezvous: {backend: gloo, port: 4000, timeout: 1m30s}
gpu: {mode: cpu}
security: {profile: default}
health_checks:
  - joined
  - training: {steps: 3, within: 500ms}
  - progress:
  - loss: {decreases: true}
  - completed: {within: 1h}
restarts: {max: 3, delay: 1m5s}
on_failure: keep
""".replace("1.5MiB8", "10.5MiB")

_ENV = {"OMP_NUM_THREADS": "1", "ON": "yes", "TIME": "22:22", "DAY": "2024-01-01"}
FULL_PLAYBOOK = Playbook(
    version=1,
    name="full",
    image=Image(
        tag="images.example:5000/team/app:1.0",
        build=Build(
            context="..", dockerfile="d/Dockerfile", args={"A": "1"}, requirements="d/r.txt"
        ),
        pull="never",
    ),
    network=Network(name="lab", internal=False, external=True),
    ranks=Ranks(
        nodes=3,
        nproc_per_node=2,
        command=("python", "-c", "print(1)\n"),
        env=_ENV,
        mounts=(
            Mount(source="./data", target="/data", read_only=True, outside=False),
            Mount(source="../d", target="/out/", read_only=False, outside=True),
        ),
        resources=Resources(cpus=2.0, memory_bytes=11_010_048, shm_bytes=64_000_000, pids=99),
        user="1000:1000",
        per_node={0: PerNode(env=_ENV), 2: PerNode(resources=Resources(cpus=0.5))},
    ),
    rendezvous=Rendezvous(backend="gloo", port=4000, timeout_s=90.0),
    gpu=Gpu(mode="cpu"),
    security=Security(profile="default"),
    health_checks=(
        Joined(within_s=60.0),
        Training(steps=3, within_s=0.5),
        Progress(every_s=30.0),
        Loss(finite=True, decreases=True),
        Completed(within_s=3600.0),
    ),
    restarts=Restarts(max=3, delay_s=65.0),
    on_failure="keep",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder `p` for playbooks, with what FULL and the example mount and build from."""
    for path in ("d/Dockerfile", "d/r.txt", "docker/Dockerfile", "docker/requirements.txt"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).touch()
    (tmp_path / "p" / "data").mkdir(parents=True)
    return tmp_path / "p"


def _fault(error: pytest.ExceptionInfo[InvalidPlaybook]) -> str:
    assert error.value.exit_code is ExitCode.INVALID_PLAYBOOK
    assert len(error.value.faults) == 1
    return str(error.value)


def test_the_least_playbook_has_the_defaults(folder: Path) -> None:
    loaded = load_text(LEAST.encode(), name="a/x.yaml", folder=folder)
    digest = "sha256:" + hashlib.sha256(LEAST.encode()).hexdigest()
    assert loaded == LoadedPlaybook(LEAST_PLAYBOOK, folder / "x.yaml", digest, folder)


def test_every_field_is_read(folder: Path) -> None:
    assert load_text(FULL.encode(), name="x.yaml", folder=folder).playbook == FULL_PLAYBOOK


def test_windows_line_ends_change_nothing(folder: Path) -> None:
    text = FULL.replace("\n", "\r\n").encode()
    assert load_text(text, name="x.yaml", folder=folder).playbook == FULL_PLAYBOOK


def test_the_example_of_the_reference_page_loads(folder: Path) -> None:
    playbook = load_text(EXAMPLE.encode(), name="x.yaml", folder=folder).playbook
    assert playbook.health_checks == (
        Joined(),
        Training(),
        Progress(),
        Loss(decreases=True),
        Completed(),
    )


def test_the_two_rank_playbook_loads(repository: Path) -> None:
    path = repository / "playbooks" / "two-rank.yaml"
    loaded = load(path)
    assert (loaded.path, loaded.folder) == (path, path.parent)
    assert loaded.playbook.ranks.nodes == 2
    assert loaded.playbook.health_checks == (
        Joined(),
        Training(),
        Loss(decreases=True),
        Completed(),
    )


def test_a_file_is_found_from_the_working_folder_and_its_links_followed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "x.yaml").write_text(LEAST)
    (folder / "link").symlink_to(folder, target_is_directory=True)
    monkeypatch.chdir(folder)
    loaded = load(Path("link/x.yaml"))
    assert (loaded.path, loaded.folder) == (folder / "x.yaml", folder)


def test_faults_name_the_file_as_it_was_typed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "x.yaml").write_text(LEAST.replace("name: x", "name: X"))
    monkeypatch.chdir(folder.parent)
    with pytest.raises(InvalidPlaybook) as error:
        load(Path("p/x.yaml"))
    assert error.value.faults == (
        Fault(
            "p/x.yaml",
            2,
            7,
            "name",
            "the text 'X' is not a name",
            "use lower-case letters, digits and -, at most 40, the first one not -",
        ),
    )


def test_a_path_that_is_no_readable_file_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    os.mkfifo("pipe")
    Path("loop").symlink_to("loop")
    found = {}
    for path in ("none.yaml", "data", "pipe", "/dev/null", "loop", "a\0b", "n\nl"):
        with pytest.raises(InvalidPlaybook) as error:
            load(Path(path))
        found[path] = _fault(error)
    assert found == {
        "none.yaml": "none.yaml:1:1: no such file; check the path",
        "data": "data:1:1: this is a folder, not a file; give the path of a playbook",
        "pipe": "pipe:1:1: this is a pipe, not a file; give the path of a playbook",
        "/dev/null": "/dev/null:1:1: this is a device, not a file; give the path of a playbook",
        "loop": "loop:1:1: the file cannot be read: too many levels of symbolic links; "
        "check the path",
        "a\0b": "'a\\x00b':1:1: not a path; give the path of a playbook",
        "n\nl": "'n\\nl':1:1: no such file; check the path",
    }


def test_a_file_that_may_not_be_read_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deny(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", deny)  # root may read everything
    with pytest.raises(InvalidPlaybook) as error:
        load(Path("x.yaml"))
    assert _fault(error) == "x.yaml:1:1: the file may not be read; make it readable for you"


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (
            b"\xef\xbb\xbfa: 1",
            "1:1: begins with a byte order mark; save the file as UTF-8 without it",
        ),
        (b"a: 1\nb: \xff", "2:4: byte 0xff is not UTF-8; save the file as UTF-8"),
        ("é: €".encode() + b"\xc3", "1:5: byte 0xc3 is not UTF-8; save the file as UTF-8"),
        ("a: 1".encode("utf-16"), "1:1: byte 0xff is not UTF-8; save the file as UTF-8"),
        (b"a: 1\r\n b\0", "2:3: character U+0000 is not allowed; remove it"),
        (b"a: \x1b[31m", "1:4: character U+001B is not allowed; remove it"),
        ("a: \u2028".encode(), "1:4: character U+2028 is not allowed; remove it"),
        ("a: \x85".encode(), "1:4: character U+0085 is not allowed; remove it"),
        ("a: \ufeff".encode(), "1:4: character U+FEFF is not allowed; remove it"),
    ],
)
def test_bytes_that_are_no_text_are_refused_at_their_place(
    data: bytes, fault: str, folder: Path
) -> None:
    with pytest.raises(InvalidPlaybook) as error:
        load_text(data, name="x.yaml", folder=folder)
    assert _fault(error) == f"x.yaml:{fault}"


def test_only_some_of_many_forbidden_characters_are_shown(folder: Path) -> None:
    with pytest.raises(InvalidPlaybook) as error:
        load_text(b"\0" * 200_000, name="x.yaml", folder=folder)
    assert [fault.column for fault in error.value.faults] == list(range(1, 21))


def test_the_language_is_light_to_import() -> None:
    heavy = {"jinja2", "python_on_whales", "torch", "typer", "rich", "asyncio"}
    code = "import sys, orchestrator.playbook.loader; print(*sys.modules)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    assert heavy & set(done.stdout.split()) == set()
