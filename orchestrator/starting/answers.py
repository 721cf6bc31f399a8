"""What `init` asks -> a playbook to go on from. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from msgspec import Struct

from orchestrator.starting.draft import Draft

Kind = Literal["trainer", "script", "image"]
KINDS: tuple[Kind, ...] = ("trainer", "script", "image")
GPU_MODES = ("cpu", "shared", "exclusive", "mps", "mig")

CONTEXT = "image"
"""The folder beside the playbook that the image is built from."""

CUDA_BASE = "pytorch/pytorch:2.13.0-cuda13.0-cudnn9-runtime"
CODE = "/code"


class Answers(Struct, frozen=True):
    """What a person wants to run.

    Attributes:
        kind: the trainer that comes along, a script of one's own, or an image of one's own.
        name: of the project.
        file: what the playbook will be called.
        nodes: how many containers.
        nproc_per_node: ranks in each.
        gpu: mode of the section `gpu`.
        image: to run; empty: the one that comes along is built.
        script: its path from the playbook's folder.
        command: what each node runs, for an image.
    """

    kind: Kind
    name: str
    file: str = "playbook.yaml"
    nodes: int = 2
    nproc_per_node: int = 1
    gpu: str = "cpu"
    image: str = ""
    script: str = ""
    command: tuple[str, ...] = ()

    @property
    def builds(self) -> bool:
        """Whether the image that comes along is built."""
        return not self.image


def draft_of(answers: Answers) -> Draft:
    """The playbook that was asked for."""
    document = {
        "version": 1,
        "name": answers.name,
        "image": _image(answers),
        "ranks": _ranks(answers),
        "gpu": dict(_gpu(answers)),
        "health_checks": list(_checks(answers)),
        "on_failure": "stop",
    }
    return Draft(tuple(_head(answers)), document, dict(_words(answers)), _FOOT)


def _head(answers: Answers) -> Iterator[str]:
    what = {
        "trainer": "fine-tune a tiny Qwen with FSDP",
        "script": f"run {answers.script}",
        "image": f"run {answers.image}",
    }[answers.kind]
    ranks = answers.nodes * answers.nproc_per_node
    yield f"{answers.nodes} nodes, {ranks} ranks in one process group: {what}."
    yield ""
    commands = (f"orchestrate apply {answers.file}", f"orchestrate destroy {answers.name}")
    width = max(map(len, commands)) + 4
    yield f"  {commands[0]:<{width}}build, start, prove, recap"
    yield f"  {commands[1]:<{width}}take everything away again"
    if answers.gpu != "cpu":
        yield ""
        yield "It needs an NVIDIA GPU and the container toolkit: docs/gpu.md"


def _image(answers: Answers) -> dict[str, Any]:
    if not answers.builds:
        return {"tag": answers.image}
    build: dict[str, Any] = {"context": CONTEXT, "dockerfile": "docker/Dockerfile"}
    if answers.gpu != "cpu":
        build["args"] = {"BASE_IMAGE": CUDA_BASE}
    build["requirements"] = "docker/requirements.txt"
    return {"tag": f"{answers.name}:local", "build": build}


def _ranks(answers: Answers) -> dict[str, Any]:
    ranks: dict[str, Any] = {
        "nodes": answers.nodes,
        "nproc_per_node": answers.nproc_per_node,
        "command": list(_command(answers)),
        "env": {"OMP_NUM_THREADS": "1"},
    }
    if answers.kind == "script":
        folder = answers.script.rpartition("/")[0] or "."
        outside = {"outside": True} if folder.startswith(("..", "/")) else {}
        ranks["mounts"] = [{"source": folder, "target": CODE, **outside}]
    limits = {"cpus": 1.0, "memory": f"{1 + answers.nproc_per_node}GiB", "shm_size": "256MiB"}
    # The sum of all limits must fit into the machine.
    is_small = answers.gpu == "cpu" and answers.nodes <= 4
    ranks["resources"] = {**limits, "pids": 512} if is_small else {"shm_size": "1GiB"}
    return ranks


def _command(answers: Answers) -> tuple[str, ...]:
    match answers.kind:
        case "trainer":
            ranks = answers.nodes * answers.nproc_per_node
            # The trainer's own batch of 8 samples is cut into equal parts.
            batch = () if 8 % ranks == 0 else ("--global-batch-size", str(2 * ranks))
            return ("python", "-m", "trainer", "--max-steps", "20", *batch)
        case "script":
            return ("python", f"{CODE}/{answers.script.rpartition('/')[2]}")
        case _:
            return answers.command


def _gpu(answers: Answers) -> Iterator[tuple[str, object]]:
    yield "mode", answers.gpu
    if answers.gpu == "shared":
        ranks = answers.nodes * answers.nproc_per_node
        yield "memory_fraction", round(0.9 / ranks, 3)


def _checks(answers: Answers) -> Iterator[dict[str, object]]:
    within = "60s" if answers.gpu == "cpu" and answers.nodes <= 4 else "2m"
    yield {"joined": {"within": within}}
    yield {"training": {"steps": 1, "within": within}}
    if answers.kind == "trainer":
        yield {"loss": {"finite": True, "decreases": True}}
    yield {"completed": {"within": "5m"}}


def _words(answers: Answers) -> Iterator[tuple[str, str]]:
    yield "name", "names the containers, the network and the run"
    if answers.builds:
        yield "image.build", "built when it is not here, or when one of its inputs changed"
        yield "image.build.context", "what it is made of: yours to change"
    else:
        yield "image.tag", "any image with Python and torch; pulled when it is not here"
    yield "ranks.nodes", "one container each; MASTER_ADDR, RANK, WORLD_SIZE are set for you"
    yield "ranks.nproc_per_node", "above 1, torchrun starts the ranks inside each node"
    yield "ranks.env.OMP_NUM_THREADS", "values are text: quote numbers"
    if answers.kind == "script":
        yield "ranks.mounts[0]", "nodes only read it"
    yield "gpu", "cpu | shared | exclusive | mps | mig"
    yield "health_checks", "apply exits with 0 only if all of these hold"
    yield "health_checks[0]", "every rank once, one world size, a collective that adds up"
    last = 3 if answers.kind == "trainer" else 2
    yield f"health_checks[{last}]", "every node exits with 0; leave it out for a run without end"
    yield "on_failure", "stop the other nodes, keep containers and logs"


_FOOT = (
    "To go on from here, all of it in docs/playbook.md:",
    "",
    'vars: {steps: 50}                then "{{ steps }}" in a value, and -e steps=100',
    "restarts: {max: 2}               a node that dies restarts the whole gang",
    "ranks.secrets: [hf_token]        a file that only the nodes see",
    "ranks.per_node: {1: {resources: {cpus: 0.5}}}    one node is slow",
    "security: {profile: strict}      read-only root, no root user, pinned image",
)
