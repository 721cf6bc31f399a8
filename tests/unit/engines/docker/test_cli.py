"""DockerCli against stand-in docker programs that hang, lie, or print rubbish."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.engines.docker.cli import DockerCli, parse_objects
from orchestrator.engines.docker.deadlines import Deadlines
from orchestrator.errors import EngineFailed, EngineUnavailable, NameTaken

Docker = Callable[[str], DockerCli]


@pytest.fixture
def docker(tmp_path: Path) -> Docker:
    """Make a `docker` of a few lines of shell."""

    def make(script: str) -> DockerCli:
        path = tmp_path / "docker"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return DockerCli((str(path),), deadlines=Deadlines(20.0))

    return make


def test_the_output_of_a_call(docker: Docker) -> None:
    assert docker('printf "%s|" "$@"').call("ps", "--filter", "a b", doing="d") == (
        "ps|--filter|a b|"
    )


def test_a_call_gets_no_standard_input_and_a_session_of_its_own(docker: Docker) -> None:
    out = docker('cat; cut -d " " -f 6 /proc/$$/stat; echo "$$"').call("ps", doing="d")
    session, pid = out.split()
    assert session == pid


def test_a_refusal_is_typed(docker: Docker) -> None:
    cli = docker("echo 'Error: network with name x already exists' >&2; exit 1")
    with pytest.raises(NameTaken, match=r"^creating: network with name x already exists; remove"):
        cli.call("network", "create", doing="creating")


def test_an_attempt_gives_code_output_and_complaints(docker: Docker) -> None:
    assert docker("echo out; echo err >&2; exit 7").attempt("x") == (7, "out\n", "err\n")


def test_bytes_that_are_not_utf8_are_replaced(docker: Docker) -> None:
    assert docker(r"printf '\377out'; printf '\376err' >&2").attempt("x") == (
        0,
        "\ufffdout",
        "\ufffderr",
    )


def test_a_megabyte_on_both_outputs_does_not_block(docker: Docker) -> None:
    script = "head -c 1000000 /dev/zero >&2; head -c 1000000 /dev/zero"
    code, out, err = docker(script).attempt("x")
    assert (code, len(out), len(err)) == (0, 1_000_000, 1_000_000)


HANGS = {
    "silently": "sleep 987",
    "in a child": "sleep 987 & wait",
    "holding the pipe after its end": "sleep 987 &",
    "deaf to SIGTERM": "trap '' TERM; sleep 987; sleep 987",
    "after some output": "echo '[]'; sleep 987",
}


@pytest.mark.parametrize("name", HANGS)
def test_a_docker_that_hangs_ends_at_its_deadline_with_its_children(
    docker: Docker, tmp_path: Path, name: str
) -> None:
    cli = docker(f"echo $$ > {tmp_path}/session\n{HANGS[name]}")
    began_s = time.monotonic()
    with pytest.raises(EngineUnavailable) as caught:
        cli.call("ps", "--all", "--quiet", doing="listing", deadline_s=0.5)
    assert time.monotonic() - began_s < 2.5
    assert (caught.value.what, caught.value.fix) == (
        "docker did not answer `ps --all` within 0.5 s",
        "see whether the engine is overloaded or hangs (`docker info`)",
    )
    assert _left_of(int((tmp_path / "session").read_text())) == []


def _left_of(session: int) -> list[str]:
    """What still runs in a session; a process that was killed may need a moment to go."""
    deadline_s = time.monotonic() + 5
    while (left := _running(session)) and time.monotonic() < deadline_s:
        time.sleep(0.02)
    return left


def _running(session: int) -> list[str]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            _, _, fields = stat.read_text().rpartition(")")
        except (FileNotFoundError, ProcessLookupError):
            continue
        state, _, _, sid = fields.split()[:4]
        if int(sid) == session and state != "Z":
            found.append(stat.parent.name)
    return found


def test_a_deadline_of_zero_is_not_the_default(docker: Docker) -> None:
    began_s = time.monotonic()
    with pytest.raises(EngineUnavailable, match="within 0 s"):
        docker("sleep 10").attempt("wait", deadline_s=0.0)
    assert time.monotonic() - began_s < 5


def test_a_docker_that_is_not_there() -> None:
    with pytest.raises(EngineUnavailable) as caught:
        DockerCli(("no-such-docker",)).call("ps", doing="d")
    assert (caught.value.what, caught.value.fix) == (
        "there is no `no-such-docker` command on this machine",
        "install Docker (`docker/setup.sh` does on Debian and Ubuntu) or use `--engine local`",
    )


@pytest.mark.parametrize(
    ("content", "mode", "why"),
    [("#!/bin/sh\n", 0o644, "Permission denied"), ("rubbish", 0o755, "Exec format error")],
)
def test_a_docker_that_cannot_be_started(tmp_path: Path, content: str, mode: int, why: str) -> None:
    path = tmp_path / "docker"
    path.write_text(content)
    path.chmod(mode)
    with pytest.raises(EngineUnavailable) as caught:
        DockerCli((str(path),)).call("ps", doing="d")
    assert caught.value.what == f"`{path}` cannot be started: {why}"


def test_inspecting_nothing_starts_no_process() -> None:
    assert DockerCli(("no-such-docker",)).inspect("container", [], doing="d") == []


def test_inspecting_takes_one_process_for_all(docker: Docker, tmp_path: Path) -> None:
    cli = docker(f'echo "$*" >> {tmp_path}/calls; echo \'[{{"Id": "a"}}, {{"Id": "b"}}]\'')
    found = cli.inspect("container", ["a", "b"], doing="d")
    assert (found, (tmp_path / "calls").read_text()) == (
        [{"Id": "a"}, {"Id": "b"}],
        "container inspect a b\n",
    )


MISSING = [
    "Error response from daemon: No such container: b",
    "Error: No such object: b",
    "Error response from daemon: network b not found",
    "Error response from daemon: no such image: b: No such image: b:latest",
]


@pytest.mark.parametrize("complaint", MISSING)
def test_what_is_not_there_is_left_out(docker: Docker, complaint: str) -> None:
    cli = docker(f"echo '[{{\"Id\": \"a\"}}]'; echo '{complaint}' >&2; exit 1")
    assert cli.inspect("container", ["a", "b"], doing="d") == [{"Id": "a"}]


FAILING = [
    "error during connect: lookup engine.invalid: no such host",
    "Error response from daemon: No such container: b\nCannot connect to the Docker daemon",
]


@pytest.mark.parametrize("complaint", FAILING)
def test_an_engine_that_is_gone_is_not_taken_for_objects_that_are(
    docker: Docker, complaint: str
) -> None:
    cli = docker(f"echo '[]'; cat >&2 <<'END'\n{complaint}\nEND\nexit 1")
    with pytest.raises(EngineUnavailable):
        cli.inspect("container", ["a", "b"], doing="d")


def test_a_failure_without_a_word_is_no_empty_answer(docker: Docker) -> None:
    with pytest.raises(EngineFailed, match="docker failed without a word"):
        docker("exit 1").inspect("container", ["a"], doing="d")


@pytest.mark.parametrize("out", ["", "[]"])
def test_an_empty_answer(out: str) -> None:
    assert parse_objects(out, "d") == []


@pytest.mark.parametrize("out", ["rubbish", "[", "[{}", "\x00", "[" * 100_000, "9" * 5000])
def test_an_answer_that_is_no_json(out: str) -> None:
    with pytest.raises(EngineFailed) as caught:
        parse_objects(out, "looking")
    assert (caught.value.what, caught.value.fix) == (
        f"looking: docker answered with something that is not JSON: {out[:80]!r}",
        "see whether the `docker` on your PATH is the real one",
    )


@pytest.mark.parametrize("answer", [{}, {"Id": 1}, [1], [[{}]], "text", None, 7, [None]])
def test_an_answer_of_another_shape(answer: object) -> None:
    with pytest.raises(EngineFailed, match=r"^looking: docker answered with JSON of an unknown"):
        parse_objects(json.dumps(answer), "looking")


def test_an_unknown_program_leaves_no_open_pipe(docker: Docker) -> None:
    cli = docker("sleep 987")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        with pytest.raises(EngineUnavailable):
            cli.attempt("ps", deadline_s=0.05)
    assert len(os.listdir("/proc/self/fd")) == before
