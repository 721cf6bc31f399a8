"""What is compared: the files and the command lines of each contestant. Pure.

All of a contestant's objects are named `PROJECT-node-K` and `PROJECT-net`, so that one
set of questions (see `engine.py`) checks and removes them all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SCRIPTS = Path(__file__).parent / "scripts"

ORCHESTRATE, SCRIPT, COMPOSE = "orchestrate", "shell script", "docker compose"

VALIDATE = "orchestrate validate"
"""All that apply does before it asks the engine anything."""

PROJECTS: Mapping[str, str] = {
    ORCHESTRATE: "bench-orchestrate",
    SCRIPT: "bench-script",
    COMPOSE: "bench-compose",
}

SLEEP_IMAGE = "orchestrate-bench:sleep"
JOIN_IMAGE = "qwen-fsdp:local"

Argv = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Contestant:
    """One way to do the work.

    `again` is the same command on a cluster that runs already; None for a contestant
    that has no such thing. `files` are `{name: text}`, needed in the working folder.
    """

    name: str
    create: Argv
    destroy: Argv
    again: Argv | None
    files: Mapping[str, str]

    @property
    def project(self) -> str:
        """The stem of all its objects' names."""
        return PROJECTS[self.name]


def sleepers(program: str, num_nodes: int, *, with_compose: bool) -> tuple[Contestant, ...]:
    """The contestants for nodes that only sleep.

    Args:
        program: the `orchestrate` command.
        num_nodes: how many nodes each starts.
        with_compose: whether `docker compose` is here.
    """
    file = f"{PROJECTS[ORCHESTRATE]}.yaml"
    apply = (program, "apply", "--engine", "docker", "--detach", file)
    ours = Contestant(
        ORCHESTRATE, apply, destroy_of(program), apply, {file: sleep_playbook(num_nodes)}
    )
    project, count = PROJECTS[SCRIPT], str(num_nodes)
    script = Contestant(
        SCRIPT,
        (str(SCRIPTS / "create.sh"), project, count, SLEEP_IMAGE),
        (str(SCRIPTS / "destroy.sh"), project, count),
        None,
        {},
    )
    return (ours, script, _compose(num_nodes)) if with_compose else (ours, script)


def joiners(program: str) -> tuple[Contestant, ...]:
    """The contestants for two ranks that form a process group; `create` returns at the join."""
    file = f"{PROJECTS[ORCHESTRATE]}.yaml"
    ours = Contestant(
        ORCHESTRATE,
        (program, "apply", "--engine", "docker", file),
        destroy_of(program),
        None,
        {file: join_playbook()},
    )
    project = PROJECTS[SCRIPT]
    script = Contestant(
        SCRIPT,
        (str(SCRIPTS / "join.sh"), project, JOIN_IMAGE),
        (str(SCRIPTS / "destroy.sh"), project, "2"),
        None,
        {},
    )
    return (ours, script)


def destroy_of(program: str) -> Argv:
    """`orchestrate destroy`, as a user types it."""
    return (program, "destroy", PROJECTS[ORCHESTRATE])


def _compose(num_nodes: int) -> Contestant:
    file = f"{PROJECTS[COMPOSE]}.json"
    command = ("docker", "compose", "--file", file)
    up = (*command, "up", "--detach")
    # The same grace as `orchestrate destroy` gives; a sleeping node needs none of it.
    down = (*command, "down", "--timeout", "5")
    return Contestant(COMPOSE, up, down, up, {file: compose_file(num_nodes)})


def sleep_playbook(num_nodes: int) -> str:
    """A playbook of `num_nodes` that sleep. The limits are small: 64 nodes must fit anywhere."""
    return f"""\
version: 1
name: {PROJECTS[ORCHESTRATE]}
image: {{tag: "{SLEEP_IMAGE}", pull: never}}
probe: off
ranks:
  nodes: {num_nodes}
  command: [sleep, "600"]
  resources: {{shm_size: 64MiB, pids: 64}}
health_checks:
  - joined: {{within: 60s}}
"""


def join_playbook() -> str:
    """Two ranks of the trainer; apply waits for the join and for nothing else."""
    return f"""\
version: 1
name: {PROJECTS[ORCHESTRATE]}
image: {{tag: "{JOIN_IMAGE}", pull: never}}
probe: off
ranks:
  nodes: 2
  command: [python, -m, trainer, --max-steps, "1", --warmup-steps, "0"]
  env: {{OMP_NUM_THREADS: "1"}}
  resources: {{cpus: 1.0, memory: 2GiB, shm_size: 256MiB, pids: 512}}
health_checks:
  - joined: {{within: 60s}}
"""


def compose_file(num_nodes: int) -> str:
    """The same cluster for compose, as JSON, which is YAML too."""
    project = PROJECTS[COMPOSE]
    services = {
        f"node-{rank}": _compose_service(f"{project}-node-{rank}", rank, num_nodes)
        for rank in range(num_nodes)
    }
    network = {"name": f"{project}-net", "driver": "bridge", "internal": True}
    document = {"name": project, "services": services, "networks": {"cluster": network}}
    return json.dumps(document, indent=1)


def _compose_service(name: str, rank: int, num_nodes: int) -> dict[str, object]:
    return {
        "container_name": name,
        "hostname": name,
        "image": SLEEP_IMAGE,
        "pull_policy": "never",
        "command": ["sleep", "600"],
        "init": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "pids_limit": 64,
        "shm_size": 64 * 1024**2,
        "logging": {"driver": "json-file"},
        "networks": {"cluster": {"aliases": [name]}},
        "environment": _environment(rank, num_nodes),
    }


def _environment(rank: int, num_nodes: int) -> dict[str, str]:
    """What orchestrate sets in each node."""
    return {
        "LOCAL_RANK": "0",
        "LOCAL_WORLD_SIZE": "1",
        "MASTER_ADDR": f"{PROJECTS[COMPOSE]}-node-0",
        "MASTER_PORT": "29500",
        "NODE_RANK": str(rank),
        "NVIDIA_VISIBLE_DEVICES": "void",
        "ORCHESTRATE_BACKEND": "gloo",
        "ORCHESTRATE_PROJECT": PROJECTS[COMPOSE],
        "ORCHESTRATE_RENDEZVOUS_TIMEOUT_S": "60",
        "ORCHESTRATE_RUN_ID": "20260101T000000-00000000",
        "ORCHESTRATE_RESTART_COUNT": "0",
        "TORCHELASTIC_RESTART_COUNT": "0",
        "RANK": str(rank),
        "WORLD_SIZE": str(num_nodes),
    }
