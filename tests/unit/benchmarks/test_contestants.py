"""The contestants do the same work, under names that can be swept up."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from benchmarks.alike import differences, traits_of
from benchmarks.contestants import (
    PROJECTS,
    SCRIPTS,
    compose_file,
    join_playbook,
    joiners,
    sleep_playbook,
    sleepers,
)
from benchmarks.peak_memory import peak_bytes
from orchestrator.engines.docker.creation import Creation
from orchestrator.engines.docker.options import create_options
from orchestrator.engines.docker.traits import TRAITS
from orchestrator.playbook.loader import load
from orchestrator.resolve import resolve
from orchestrator.state.desired import RunIdentity
from orchestrator.state.spec import NodeSpec

IDENTITY = RunIdentity("bench-orchestrate", "run", "/runs")


def nodes_of(text: str, folder: Path) -> tuple[NodeSpec, ...]:
    path = folder / "playbook.yaml"
    path.write_text(text, encoding="utf-8")
    return resolve(load(path), TRAITS).nodes


def script_options(name: str) -> dict[str, list[str]]:
    """The long options of `docker run` in a script, each with all its values."""
    text = (SCRIPTS / name).read_text(encoding="utf-8").replace("\\\n", " ")
    (line,) = [each for each in text.splitlines() if "docker run" in each]
    found: dict[str, list[str]] = {}
    for option, value in re.findall(r'--([a-z-]+)(?: +(?!--)("[^"]*"|\S+))?', line):
        found.setdefault(option, []).append(value.strip('"'))
    return found


def test_all_command_lines() -> None:
    found = {each.name: each for each in sleepers("orchestrate", 2, with_compose=True)}

    assert {name: (each.create, each.again, each.destroy) for name, each in found.items()} == {
        "orchestrate": (
            ("orchestrate", "apply", "--engine", "docker", "--detach", "bench-orchestrate.yaml"),
            ("orchestrate", "apply", "--engine", "docker", "--detach", "bench-orchestrate.yaml"),
            ("orchestrate", "destroy", "bench-orchestrate"),
        ),
        "shell script": (
            (str(SCRIPTS / "create.sh"), "bench-script", "2", "orchestrate-bench:sleep"),
            None,
            (str(SCRIPTS / "destroy.sh"), "bench-script", "2"),
        ),
        "docker compose": (
            ("docker", "compose", "--file", "bench-compose.json", "up", "--detach"),
            ("docker", "compose", "--file", "bench-compose.json", "up", "--detach"),
            ("docker", "compose", "--file", "bench-compose.json", "down", "--timeout", "5"),
        ),
    }
    assert [each.create for each in joiners("orchestrate")] == [
        ("orchestrate", "apply", "--engine", "docker", "bench-orchestrate.yaml"),
        (str(SCRIPTS / "join.sh"), "bench-script", "qwen-fsdp:local"),
    ]


def test_compose_takes_part_only_where_it_is() -> None:
    names = [each.name for each in sleepers("orchestrate", 2, with_compose=False)]

    assert names == ["orchestrate", "shell script"]


def test_the_scripts_set_what_orchestrate_sets(tmp_path: Path) -> None:
    for name, playbook in (("create.sh", sleep_playbook(2)), ("join.sh", join_playbook())):
        node = nodes_of(playbook, tmp_path)[0]
        options = create_options(Creation(node, IDENTITY, "1000"))
        script = script_options(name)
        expected = {
            "cap-drop": options["cap_drop"],
            "security-opt": options["security_options"],
            "pids-limit": [str(options["pids_limit"])],
            "shm-size": [str(options["shm_size"])],
            "log-driver": [options["log_driver"]],
            "pull": [options["pull"]],
            "memory": [str(options["memory"])] if "memory" in options else None,
            "memory-swap": [str(options["memory_swap"])] if "memory_swap" in options else None,
            "cpus": [f"{options['cpus']:g}"] if "cpus" in options else None,
        }

        assert {option: script.get(option) for option in expected} == expected
        assert sorted(each.partition("=")[0] for each in script["env"]) == sorted(options["envs"])
        assert len(script["label"]) == len(options["labels"])
        assert "init" in script


def test_a_compose_service_is_a_node_of_the_playbook(tmp_path: Path) -> None:
    nodes = nodes_of(sleep_playbook(2), tmp_path)
    document = json.loads(compose_file(2))

    services = document["services"]
    options = create_options(Creation(nodes[1], IDENTITY, "1000"))
    service = services["node-1"]
    assert list(services) == ["node-0", "node-1"]
    assert document["networks"]["cluster"]["internal"] is True
    assert sorted(service["environment"]) == sorted(options["envs"])
    assert {name: service[name] for name in ("cap_drop", "init", "pids_limit", "shm_size")} == {
        name: options[name] for name in ("cap_drop", "init", "pids_limit", "shm_size")
    }
    assert service["command"] == list(nodes[1].command)
    assert service["security_opt"] == options["security_options"]
    assert service["container_name"] == "bench-compose-node-1"


def test_every_name_says_that_it_is_of_a_benchmark() -> None:
    assert all(project.startswith("bench-") for project in PROJECTS.values())


def container(**changes: Any) -> dict[str, Any]:
    host = {"LogConfig": {"Type": "json-file"}, "RestartPolicy": {"Name": ""}, "Init": True}
    config = {
        "Cmd": ["sleep"], "Image": "i", "Hostname": "a", "Env": ["B=1", "A=2"], "Labels": {"x": "1"}
    }  # fmt: skip
    return {
        "Name": "/a",
        "HostConfig": host | changes,
        "Config": config,
        "NetworkSettings": {"Networks": {"a-net": {}}},
    }


def test_containers_that_differ_in_a_flag_are_told_apart() -> None:
    first = traits_of(container(), with_labels=True)
    second = traits_of(container(Init=None, ShmSize=64), with_labels=True)

    assert differences(first, first) == ()
    assert differences(first, second) == ("Init: True != None", "ShmSize: None != 64")


def test_labels_count_only_where_both_are_asked_for_them() -> None:
    first, other = container(), container()
    other["Config"] = other["Config"] | {"Labels": {}}

    assert differences(traits_of(first, with_labels=True), traits_of(other, with_labels=True)) == (
        "NumLabels: 1 != 0",
    )
    assert (
        differences(traits_of(first, with_labels=True), traits_of(other, with_labels=False)) == ()
    )


def test_peak_memory_is_read_in_bytes() -> None:
    assert peak_bytes("Name:\tpython\nVmPeak:\t  900 kB\nVmHWM:\t   43 kB\n") == 44032
