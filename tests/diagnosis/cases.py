"""The runs that fail, as data: what is done wrong, and who is to blame."""

from __future__ import annotations

from dataclasses import dataclass

PROJECT = "diagnosis"
"""Names the nodes of the captures."""


@dataclass(frozen=True, slots=True)
class Case:
    """One way to fail.

    Attributes:
        name: of the script in `scripts/`, unless `script` is another one, and of the capture.
        wrong: what is wrong, in words.
        script: the script, where it is not `name`.
        checks: health checks besides `joined` and `progress`.
        ranks: more keys of `ranks`, as YAML.
        resources: more keys of `ranks.resources`, as YAML.
        pause: the node that is paused once the run trains.
    """

    name: str
    wrong: str
    script: str = ""
    ranks: str = ""
    resources: str = ""
    pause: int | None = None

    def playbook(self, project: str, port: int = 29500) -> str:
        """The playbook of the run."""
        return _PLAYBOOK.format(
            project=project,
            port=port,
            script=self.script or self.name,
            ranks=self.ranks,
            resources=self.resources,
        )


_PLAYBOOK = """\
version: 1
name: {project}
image: {{tag: 'qwen-fsdp:local', pull: never}}
ranks:
  nodes: 2
  command: [python, /scripts/{script}.py]
  env: {{OMP_NUM_THREADS: '1', JOB_TIMEOUT_S: '10'}}
  mounts: [{{source: ./scripts, target: /scripts}}]
  resources: {{cpus: 1.0, memory: 1GiB, {resources}}}
  {ranks}
rendezvous: {{port: {port}, timeout: 10s}}
health_checks:
  - joined: {{within: 25s}}
  - progress: {{every: 5s}}
  - completed: {{within: 60s}}
"""

TWO_EACH = "nproc_per_node: 2"

CASES = (
    Case("wrong_addr", "node 1 overrides MASTER_ADDR with an address where nobody is"),
    Case("loopback_addr", "every node sets MASTER_ADDR to localhost"),
    Case("unresolvable_name", "node 1 overrides MASTER_ADDR with a name that does not exist"),
    Case("wrong_port", "node 1 overrides MASTER_PORT"),
    Case("port_taken", "another program of node 0 listens on MASTER_PORT"),
    Case("rank_missing", "node 1 waits for something else and never joins"),
    Case("rank_twice", "node 1 takes itself for rank 0"),
    Case("world_too_large", "node 0 sets WORLD_SIZE to 3 of 2"),
    Case("world_too_small", "node 0 sets WORLD_SIZE to 1 of 2"),
    Case("exits_before_init", "node 1 exits with 0 before it joins"),
    Case("raises_at_step", "node 1 raises an exception at its fourth step"),
    Case("killed", "node 1 is killed at its fourth step"),
    Case("out_of_memory", "node 1 needs more than its memory limit at its fourth step"),
    Case(
        "small_shm", "/dev/shm is too small for a batch of a DataLoader", resources="shm_size: 1MiB"
    ),
    Case("wrong_interface", "node 1 sets GLOO_SOCKET_IFNAME to an interface it does not have"),
    Case("paused", "node 1 is paused while it trains", script="steady", pause=1),
    Case("model_shapes", "node 1 builds a model of other shapes"),
    Case("torch_versions", "node 1 has another torch, whose collective differs (see the script)"),
    Case("missing_module", "a package is not in the image"),
    Case("missing_file", "node 1 reads a file that is not there"),
    Case("never_init", "the script never calls init_process_group"),
    Case("cuda_without_gpu", "the script moves its model to a GPU where there is none"),
    Case("nccl_without_gpu", "the script asks for NCCL where there is no GPU"),
    Case("skips_collective", "node 1 skips a collective that node 0 waits in"),
    Case("leaves_early", "node 1 has fewer steps, and ends while node 0 waits for it"),
    Case("endless_loop", "node 1 never leaves a loop of its own"),
    Case("stuck_loader", "a DataLoader worker of node 1 is in a deadlock"),
    Case("torchrun_killed", "one of the two ranks of node 1 is killed", ranks=TWO_EACH),
    Case("torchrun_raises", "one of the two ranks of node 1 raises", ranks=TWO_EACH),
)
