"""Bad playbooks, and the whole text of what they get."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from bad_files import FILES
from bad_lines import APPENDED
from fault_words import HEAD, KNOWN

from orchestrator.errors import InvalidPlaybook
from orchestrator.playbook.loader import load_text


@pytest.fixture(autouse=True)
def site(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A folder with a folder, a link out of it and a link to an engine, on 8 GiB."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "here").mkdir()
    (folder / "link").symlink_to(tmp_path)
    engine_folder = tmp_path_factory.mktemp("engine")
    monkeypatch.chdir(engine_folder)  # the path of a socket is at most 107 bytes
    with socket.socket(socket.AF_UNIX) as engine:
        engine.bind("e.sock")
    (folder / "engine.sock").symlink_to(engine_folder / "e.sock")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{engine_folder}/e.sock")
    sizes = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 2 * 1024**2}
    monkeypatch.setattr(os, "sysconf", sizes.__getitem__)
    return folder


def faults_of(text: str | bytes, folder: Path) -> list[str]:
    data = text.encode() if isinstance(text, str) else text
    try:
        load_text(data, name="p.yaml", folder=folder)
    except InvalidPlaybook as exc:
        return [line.removeprefix("p.yaml:") for line in str(exc).splitlines()]
    return []


@pytest.mark.parametrize(("text", "faults"), APPENDED.items())
def test_a_bad_line_gets_its_fault(text: str, faults: list[str], site: Path) -> None:
    assert faults_of(f"{HEAD}{text}\n", site) == faults


@pytest.mark.parametrize(("text", "faults"), FILES.items(), ids=lambda value: str(value)[:40])
def test_a_bad_file_gets_its_faults(text: str, faults: list[str], site: Path) -> None:
    assert faults_of(text, site) == faults


def test_one_node_may_have_what_would_split_two(site: Path) -> None:
    one = HEAD.replace("nodes: 2", "nodes: 1")
    text = one.replace("[python]", "[torchrun, --standalone, --master_addr=localhost, t.py]")
    assert faults_of(text, site) == []
    assert faults_of(f"{one}  env: {{MASTER_ADDR: localhost}}\n", site) == [
        "7:9: ranks.env.MASTER_ADDR: set for every rank by orchestrate; remove it"
    ]


def test_every_fault_is_shown_at_once_whatever_stands_before_it(site: Path) -> None:
    text = """\
name: X
image: {build: {context: nope}}
network: {external: yes, nam: a}
ranks:
  nodes: two
  command: [1, --master_addr, localhost]
  env: {RANK: 0, A: 1, RANK: "1", LOCAL_RANK: "0"}
  mounts:
    - {source: 5, target: /a}
    - {source: nope, target: /proc}
    - {target: b}
    - {source: .., target: /c}
  per_node: {9: {env: {WORLD_SIZE: "1"}}}
health_checks: [joined, 5, joined]
"""
    found = faults_of(text, site)
    assert [fault.split("; ")[0] for fault in found] == [
        "1:1: version: missing",
        "1:7: name: the text 'X' is not a name",
        "2:8: image.tag: missing",
        "2:26: image.build.context: no folder 'nope' beside the playbook",
        "3:21: network.external: expected true or false, found the text 'yes'",
        "3:26: network.nam: unknown key",
        "5:10: ranks.nodes: expected a whole number, found the text 'two'",
        "6:13: ranks.command[0]: expected text, found the number 1",
        "7:9: ranks.env.RANK: set for every rank by orchestrate",
        "7:15: ranks.env.RANK: expected text, found the number 0",
        "7:21: ranks.env.A: expected text, found the number 1",
        "7:24: ranks.env.RANK: the key is given twice, here and at line 7",
        "7:35: ranks.env.LOCAL_RANK: set for every rank by orchestrate",
        "9:16: ranks.mounts[0].source: expected text, found the number 5",
        "10:16: ranks.mounts[1].source: 'nope': no such file or directory",
        "10:30: ranks.mounts[1].target: /proc belongs to the kernel",
        "11:7: ranks.mounts[2].source: missing",
        "11:16: ranks.mounts[2].target: 'b' is not an absolute path",
        "12:16: ranks.mounts[3].source: '..' leaves the playbook's folder",
        "13:24: ranks.per_node.9.env.WORLD_SIZE: set for every rank by orchestrate",
        "14:25: health_checks[1]: expected one health check, found the number 5",
        "14:28: health_checks[2]: the check joined is given twice",
    ]


def test_a_hostile_number_of_faults_is_cut_short(site: Path) -> None:
    found = faults_of(HEAD + "".join(f"k{n}: 1\n" for n in range(20_000)), site)
    assert len(found) == 501
    assert found[499:] == [
        f"506:1: k499: unknown key; {KNOWN}",
        "507:1: there are more faults from here on; mend these first",
    ]
