"""Files that are no playbook, and the whole text of what they get."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from orchestrator.errors import InvalidPlaybook
from orchestrator.playbook.loader import load_text
from tests.reliability.record import RecordCase, record_inputs
from tests.unit.playbook.head import HEAD, FaultsOf

NAME_FIX = "use lower-case letters, digits and -, at most 40, the first one not -"
TAG_FIX = "write it like qwen-fsdp:local"
KNOWN = (
    "known: gpu, health_checks, image, include, name, network, on_failure, probe, ranks, "
    "rendezvous, restarts, security, vars, version"
)
MAPPING_FIX = "write keys and values, each key on a line of its own"
LOOPBACK = "is a loopback, and every container has its own"
NAME_OF_NODE_0 = "MASTER_ADDR is set to node 0's name for you"

# Whole files.
FILES: dict[str, list[str]] = {
    "": ["1:1: the file is empty; write a playbook into it"],
    "# nothing\n": ["1:1: the file is empty; write a playbook into it"],
    "--- #|1-": [f"1:9: expected a mapping, found nothing; {MAPPING_FIX}"],
    "~": [f"1:1: expected a mapping, found nothing; {MAPPING_FIX}"],
    "- a": [f"1:1: expected a mapping, found a list; {MAPPING_FIX}"],
    "{}": [
        "1:1: image: missing; add image: {tag: qwen-fsdp:local}",
        "1:1: name: missing; add name: two-rank",
        "1:1: ranks: missing; add ranks: {nodes: 2, command: [python, -m, trainer]}",
        "1:1: version: missing; add version: 1",
    ],
    HEAD.replace("version: 1", "version: 2"): [
        "1:10: version: the number 2 is not a version that this release reads; write 1"
    ],
    HEAD.replace("version: 1", "version: true"): [
        "1:10: version: true is not a version that this release reads; write 1"
    ],
    HEAD.replace("version: 1", "version: 1.0"): [
        "1:10: version: the number 1.0 is not a version that this release reads; write 1"
    ],
    HEAD.replace("name: x", "name: Two_Rank"): [
        f"2:7: name: the text 'Two_Rank' is not a name; {NAME_FIX}"
    ],
    HEAD.replace("name: x", f"name: {'a' * 41}"): [
        f"2:7: name: the text '{'a' * 41}' is not a name; {NAME_FIX}"
    ],
    HEAD.replace("name: x", "name: 2024"): [
        '2:7: name: expected text, found the number 2024; quote it: "2024"'
    ],
    HEAD.replace("app", "--privileged"): [
        f"3:14: image.tag: the text '--privileged' is not the name of an image; {TAG_FIX}"
    ],
    HEAD.replace("app", "A/b"): [],
    HEAD.replace("app", "App"): [
        f"3:14: image.tag: the text 'App' is not the name of an image; {TAG_FIX}"
    ],
    HEAD.replace("{tag: app}", "{tag: app, pull: no}"): [
        "3:25: image.pull: expected never or missing or always, found the text 'no'; "
        "write never or missing or always"
    ],
    HEAD.replace("{tag: app}", "{tag: app, build: {context: nope}}"): [
        "3:36: image.build.context: no folder 'nope' beside the playbook; "
        "write it relative to the playbook"
    ],
    HEAD.replace("{tag: app}", "{tag: app, build: {dockerfile: here, requirements: ../r.txt}}"): [
        "3:39: image.build.dockerfile: no file 'here' in the build's context; "
        "write it relative to build.context",
        "3:59: image.build.requirements: '../r.txt' leaves the build's context; "
        "move it below build.context",
    ],
    HEAD.replace("nodes: 2", "nodes: 0"): [
        "5:10: ranks.nodes: the number 0 is below 1; use at least 1"
    ],
    HEAD.replace("nodes: 2", "nodes: 10001"): [
        "5:10: ranks.nodes: the number 10001 is above 10000; use at most 10000"
    ],
    HEAD.replace("  nodes: 2\n", ""): ["5:3: ranks.nodes: missing; add nodes: 2"],
    HEAD.replace("[python]", "[]"): ["6:12: ranks.command: empty; write at least 1"],
    HEAD.replace("[python]", "python train.py"): [
        "6:12: ranks.command: expected a list, found the text 'python train.py'; "
        "write [python, train.py]"
    ],
    HEAD.replace("[python]", '[python, "", 20]'): [
        "6:21: ranks.command[1]: empty; remove it or write text",
        '6:25: ranks.command[2]: expected text, found the number 20; quote it: "20"',
    ],
    HEAD.replace("[python]", "[/opt/venv/bin/torchrun, t.py]\n  nproc_per_node: 2"): [
        "6:13: ranks.command[0]: '/opt/venv/bin/torchrun' starts ranks by itself, and so does "
        "nproc_per_node; leave it out: torchrun starts the 2 ranks of each node for you",
    ],
    HEAD.replace("[python]", "[python, -m, torch.distributed.run, t.py]\n  nproc_per_node: 2"): [
        "6:25: ranks.command[2]: 'torch.distributed.run' starts ranks by itself, and so does "
        "nproc_per_node; leave it out: torchrun starts the 2 ranks of each node for you",
    ],
    HEAD.replace("[python]", "[torchrun, --standalone, t.py]"): [
        "6:23: ranks.command[1]: --standalone makes 2 groups of one node instead of one group; "
        "leave it out"
    ],
    HEAD.replace("[python]", "[t, --master_addr, localhost]"): [
        f"6:16: ranks.command[1]: 'localhost' {LOOPBACK}; leave it out: {NAME_OF_NODE_0}"
    ],
    HEAD.replace("[python]", "['--rdzv-endpoint=[::1]:29500']"): [
        f"6:13: ranks.command[0]: '[::1]' {LOOPBACK}; leave it out: {NAME_OF_NODE_0}"
    ],
    HEAD.replace("[python]", "[sh, -c, 'MASTER_ADDR=127.0.0.1 python t.py']"): [
        f"6:21: ranks.command[2]: '127.0.0.1' {LOOPBACK}; leave it out: {NAME_OF_NODE_0}"
    ],
    "[" * 500: ["1:52: nested deeper than 50 levels; flatten it"],
    "- " * 100_000: ["1:103: nested deeper than 50 levels; flatten it"],
    "a: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    + "".join(f"b{n}: &a{n + 1} [{', '.join([f'*a{n}'] * 10)}]\n" for n in range(9)): [
        "4:45: aliases expand to more than 10000 values; write the values out"
    ],
    "x" * 300_000: [
        "1:1: larger than 256 KiB; a playbook is short: move data into files and mount them"
    ],
}


@pytest.mark.parametrize(("text", "faults"), FILES.items(), ids=lambda value: str(value)[:40])
def test_a_bad_file_gets_its_faults(
    text: str, faults: list[str], faults_of: FaultsOf, record_case: RecordCase
) -> None:
    assert faults_of(text) == faults
    record_inputs(record_case, "files that are no playbook, fault by fault", refused=1)


def test_a_hundred_thousand_brackets_are_too_deep_wherever_the_parser_gives_up(
    faults_of: FaultsOf,
) -> None:
    [fault] = faults_of("[" * 100_000)
    # The column is 52, or where the libyaml at hand stops looking ahead.
    assert re.fullmatch(r"1:\d+: nested deeper than 50 levels; flatten it", fault)


def test_every_fault_is_shown_at_once_whatever_stands_before_it(faults_of: FaultsOf) -> None:
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
    found = faults_of(text)
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


def test_a_hostile_number_of_faults_is_cut_short(faults_of: FaultsOf) -> None:
    found = faults_of(HEAD + "".join(f"k{n}: 1\n" for n in range(20_000)))
    assert len(found) == 501
    assert found[499:] == [
        f"506:1: k499: unknown key; {KNOWN}",
        "507:1: there are more faults from here on; mend these first",
    ]


def test_a_clash_shows_both_places(site: Path) -> None:
    text = """\
version: 1
name: x
name: y
image: {tag: app}
ranks:
  nodes: no
  command: [a]
  mounts: [{source: here, target: /a}, 7, {source: here, target: /b}, {source: here, target: /a/}]
health_checks: [joined, 5, loss, joined]
"""
    with pytest.raises(InvalidPlaybook) as error:
        load_text(text.encode(), name="p.yaml", folder=site)
    shown = {
        fault.path: [(at.line, at.column, at.width, at.note) for at in fault.snippets]
        for fault in error.value.faults
        if len(fault.snippets) > 1
    }
    assert shown == {
        "name": [(3, 1, 4, ""), (2, 1, 4, "first given here")],
        "ranks.mounts[3].target": [(8, 94, 3, ""), (8, 35, 2, "first mounted here")],
        "health_checks[3]": [(9, 34, 6, ""), (9, 17, 6, "first given here")],
    }


@pytest.mark.parametrize(
    ("value", "note"),
    [
        ("[python", "this [ is not closed"),
        ("{a: b", "this { is not closed"),
        ('"python', "this quote is not closed"),
    ],
)
def test_what_is_not_closed_is_shown_where_it_began(value: str, note: str, site: Path) -> None:
    with pytest.raises(InvalidPlaybook) as error:
        load_text(f"version: 1\nname: {value}\n".encode(), name="p.yaml", folder=site)
    (fault,) = error.value.faults
    assert [(at.line, at.column, at.note) for at in fault.snippets] == [(3, 1, ""), (2, 7, note)]
