"""Files of variables and secrets: what is read from this machine, and what wins."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from orchestrator.engines.docker.traits import TRAITS as DOCKER
from orchestrator.engines.local.engine import TRAITS as LOCAL
from orchestrator.errors import InvalidPlaybook
from orchestrator.playbook.envfile import BadEnvFile, read_env_file
from orchestrator.playbook.loaded import LoadedPlaybook
from orchestrator.playbook.loader import load_text
from orchestrator.playbook.outside import take
from orchestrator.resolve import resolve
from orchestrator.state.spec import Secret

HOST = {"FROM_HOST": "host", "HF_TOKEN": "hf_1234", "OTHER": "other"}


def read(tmp_path: Path, text: bytes, host: Mapping[str, str] = HOST) -> dict[str, str]:
    path = tmp_path / "some.env"
    path.write_bytes(text)
    return read_env_file(path, host, lambda _: None)


@pytest.mark.parametrize(
    ("text", "env"),
    [
        (b"", {}),
        (b"# A=1\n\n   \n\t# B\n", {}),
        (b"A=1\nB=2", {"A": "1", "B": "2"}),
        (b"A=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
        (b"  A= 1 \n", {"A": " 1 "}),
        (b"A='1'\nB=\"2\" # no comment\n", {"A": "'1'", "B": '"2" # no comment'}),
        (b"A=\n", {"A": ""}),
        (b"A=b=c\n", {"A": "b=c"}),
        (b"A=1\nA=2\n", {"A": "2"}),
        (b"FROM_HOST\nNOT_THERE\n", {"FROM_HOST": "host"}),
        (b"\xef\xbb\xbfA=1\n", {"A": "1"}),
        ("A=ä\n".encode(), {"A": "ä"}),
    ],
)
def test_a_file_is_read_as_docker_reads_it(
    tmp_path: Path, text: bytes, env: dict[str, str]
) -> None:
    assert read(tmp_path, text) == env


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        (b"A=1\nexport B=2\n", [(2, "no name of a variable before the =")]),
        (b"=1\n", [(1, "no name of a variable before the =")]),
        (b"A =1\n", [(1, "no name of a variable before the =")]),
        (b"A=a\x00b\n", [(1, "the value of A has a character that no line can carry")]),
        (b"A=a\rb\n", [(1, "the value of A has a character that no line can carry")]),
        (b"A=" + b"x" * 32_769, [(1, "the value of A is longer than 32768 characters")]),
        (b"A=1\n\xff\n-\n", [(2, "not UTF-8")]),
    ],
)
def test_a_bad_line_is_named_and_its_value_is_not(
    tmp_path: Path, text: bytes, faults: list[tuple[int, str]]
) -> None:
    with pytest.raises(BadEnvFile) as caught:
        read(tmp_path, text)
    assert [(fault.line, fault.what) for fault in caught.value.faults] == faults


def loaded(tmp_path: Path, ranks: str) -> LoadedPlaybook:
    text = (
        "version: 1\nname: pair\nimage: {tag: app}\n"
        f"ranks: {{nodes: 2, command: [python], {ranks}}}\n"
    )
    return load_text(text.encode(), name="pair.yaml", folder=tmp_path)


def test_which_variable_wins(tmp_path: Path) -> None:
    (tmp_path / "all.env").write_text("A=all\nB=all\nC=all\nD=all\nE=all\nHOME=/all\n")
    (tmp_path / "more.env").write_text("B=more\n")
    (tmp_path / "one.env").write_text("D=one.env\nC=one.env\nF=one.env\n")
    playbook = loaded(
        tmp_path,
        "env_file: [all.env, more.env], env: {C: env, D: env}, "
        "per_node: {1: {env_file: [one.env], env: {E: one, F: one}}}",
    )
    taken = take(playbook, HOST)
    first, second = resolve(playbook, DOCKER, taken=taken).nodes
    given = {name: value for name, value in first.env if len(name) == 1}
    assert given == {"A": "all", "B": "more", "C": "env", "D": "env", "E": "all"}
    assert first.hidden_env == ("A", "B", "E", "HOME")
    given = {name: value for name, value in second.env if len(name) == 1}
    assert given == {
        "A": "all", "B": "more", "C": "one.env", "D": "one.env", "E": "one", "F": "one",
    }  # fmt: skip
    assert second.hidden_env == ("A", "B", "C", "D", "HOME")
    assert "all" not in repr(taken)


def test_where_the_values_of_secrets_come_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in HOST.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "token").write_bytes(b"\x00bytes\n")
    playbook = loaded(
        tmp_path, "secrets: [hf_token, {name: b, env: OTHER}, {name: a, file: ./token}]"
    )
    taken = take(playbook, HOST)
    secrets = (
        Secret("a", b"\x00bytes\n"),
        Secret("b", b"other"),
        Secret("hf_token", b"hf_1234"),
    )
    docker = resolve(playbook, DOCKER, taken=taken).nodes
    assert [node.secrets for node in docker] == [secrets, secrets]
    assert dict(docker[0].env)["ORCHESTRATE_SECRETS_DIR"] == "/run/secrets"
    local = resolve(playbook, LOCAL, taken=taken).nodes[0]
    assert (local.secrets, "ORCHESTRATE_SECRETS_DIR" in dict(local.env)) == (secrets, False)
    assert "hf_1234" not in repr(taken) + repr(docker)


def test_a_source_that_goes_between_loading_and_applying(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("hf_1234")
    playbook = loaded(tmp_path, "secrets: [{name: a, file: token}]")
    (tmp_path / "token").unlink()
    with pytest.raises(InvalidPlaybook) as caught:
        take(playbook, HOST)
    assert str(caught.value) == (
        f"{tmp_path}/pair.yaml:1:1: ranks: an env_file or a secret can no longer be read; "
        "validate the playbook again"
    )
