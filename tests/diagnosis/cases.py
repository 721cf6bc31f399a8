"""The runs that fail, as data: what is done wrong, and which answer is right."""

from __future__ import annotations

from dataclasses import dataclass

PROJECT = "diagnosis"
"""Names the nodes of the captures."""

JOB_TIMEOUT_S = 12
"""What the scripts give init_process_group; torch's own is 1800 s for Gloo, 600 s for NCCL."""


@dataclass(frozen=True, slots=True)
class Case:
    """One way to fail.

    Attributes:
        name: of the script in `scripts/`, unless `script` is another one, and of the capture.
        wrong: what is wrong, in words.
        causes: the causes any of which is right, as `Diagnosis.cause` names them.
        ranks: the ranks any of which is rightly named first.
        script: the script, where it is not `name`.
        per_node: more keys of `ranks`, as YAML.
        resources: more keys of `ranks.resources`, as YAML.
        pause: the node that is paused once the run trains.
        joined_s: how long joining may take: four ranks import torch for long on two cores.
    """

    name: str
    wrong: str
    causes: tuple[str, ...]
    ranks: tuple[int, ...] = (1,)
    script: str = ""
    per_node: str = ""
    resources: str = ""
    pause: int | None = None
    joined_s: int = 60

    def playbook(self, project: str, port: int = 29500) -> str:
        """The playbook of the run."""
        return _PLAYBOOK.format(
            project=project,
            port=port,
            script=self.script or self.name,
            job_timeout_s=JOB_TIMEOUT_S,
            per_node=self.per_node,
            resources=self.resources,
            joined_s=self.joined_s,
        )


_PLAYBOOK = """\
version: 1
name: {project}
image: {{tag: 'qwen-fsdp:local', pull: never}}
ranks:
  nodes: 2
  command: [python, /scripts/{script}.py]
  env: {{OMP_NUM_THREADS: '1', JOB_TIMEOUT_S: '{job_timeout_s}'}}
  mounts: [{{source: ./scripts, target: /scripts}}]
  resources: {{cpus: 1.0, memory: 1GiB{resources}}}{per_node}
rendezvous: {{port: {port}, timeout: 10s}}
health_checks:
  - joined: {{within: {joined_s}s}}
  - progress: {{every: 12s}}
  - completed: {{within: 120s}}
"""

TWO_EACH = "\n  nproc_per_node: 2"
EITHER = (0, 1)

CASES = (
    Case(
        "wrong_addr",
        "node 1 sets MASTER_ADDR to an address where nobody is",
        ("master-address", "master-changed"),
    ),
    Case(
        "loopback_addr",
        "every node sets MASTER_ADDR to localhost",
        ("master-loopback", "master-changed"),
    ),
    Case(
        "unresolvable_name",
        "node 1 sets MASTER_ADDR to a name that does not exist",
        ("master-name",),
    ),
    Case("wrong_port", "node 1 sets MASTER_PORT", ("master-port", "master-changed")),
    Case("port_taken", "another program of node 0 listens on MASTER_PORT", ("port-taken",), (0,)),
    Case("rank_missing", "node 1 waits for something else and never joins", ("never-init",)),
    Case("rank_twice", "node 1 takes itself for rank 0", ("rank-taken",)),
    Case(
        "spawns_ranks",
        "every node spawns both ranks by itself, on localhost",
        ("starts-ranks",),
        EITHER,
        joined_s=110,
    ),
    Case("world_too_large", "node 0 sets WORLD_SIZE to 3 of 2", ("world-size",), (0,)),
    Case("world_too_small", "node 0 sets WORLD_SIZE to 1 of 2", ("world-size",), (0,)),
    Case("exits_before_init", "node 1 exits with 0 before it joins", ("left-before-join",)),
    Case("raises_at_step", "node 1 raises an exception at its fourth step", ("exception",)),
    Case("killed", "node 1 is killed at its fourth step", ("killed",)),
    Case("out_of_memory", "node 1 needs more memory than it may have", ("out-of-memory",)),
    Case(
        "small_shm",
        "/dev/shm is too small for a batch of a DataLoader",
        ("shm-full",),
        EITHER,
        resources=", shm_size: 1MiB",
    ),
    Case(
        "wrong_interface",
        "node 1 sets GLOO_SOCKET_IFNAME to an interface it does not have",
        ("interface-unknown",),
    ),
    Case("paused", "node 1 is paused while it trains", ("paused",), script="steady", pause=1),
    Case("variable_missing", "node 1 clears RANK from its environment", ("variable-missing",)),
    Case("model_shapes", "node 1 builds a model of other shapes", ("model-shapes-differ",)),
    Case(
        "model_parameters",
        "node 1 builds a model of more parameters",
        ("model-parameters-differ",),
        EITHER,
    ),
    Case(
        "torch_versions",
        "node 1 says it has another torch, and its collective differs",
        ("versions-differ",),
    ),
    Case("missing_module", "a package is not in the image", ("module-missing",), EITHER),
    Case("missing_file", "node 1 reads a file that is not there", ("file-missing",)),
    Case("never_init", "the script never calls init_process_group", ("never-init",), EITHER),
    Case("cuda_without_gpu", "the script wants a GPU where there is none", ("no-gpu",), EITHER),
    Case("nccl_without_gpu", "the script asks for NCCL without a GPU", ("no-nccl",), EITHER),
    Case("skips_collective", "node 1 skips a collective that node 0 waits in", ("elsewhere",)),
    Case("leaves_early", "node 1 has fewer steps, and ends while node 0 waits", ("left",)),
    Case("endless_loop", "node 1 never leaves a loop of its own", ("elsewhere",)),
    Case("stuck_loader", "a DataLoader worker of node 1 is in a deadlock", ("elsewhere",)),
    Case(
        "torchrun_killed",
        "one of the two ranks of node 1 is killed",
        ("killed",),
        (3,),
        per_node=TWO_EACH,
        joined_s=110,
    ),
    Case(
        "torchrun_raises",
        "one of the two ranks of node 1 raises an exception",
        ("exception",),
        (3,),
        per_node=TWO_EACH,
        joined_s=110,
    ),
)
BY_NAME = {case.name: case for case in CASES}
