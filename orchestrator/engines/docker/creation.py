"""A container that is about to be made: what both ways to make one start from. Pure."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from orchestrator.engines.base import Restores
from orchestrator.engines.docker.health import ASIDE
from orchestrator.engines.docker.inspection import PROBE_CHANNEL
from orchestrator.identity import ENV_PROBE_CHANNEL, told_to_nodes, with_probe
from orchestrator.state.desired import RunIdentity
from orchestrator.state.labels import (
    LABEL_COMPUTE_MODE,
    LABEL_COMPUTE_MODE_BEFORE,
    LABEL_HIDDEN_ENV,
    LABEL_NODE_RANK,
    LABEL_NUM_RANKS,
    LABEL_OWNER,
    LABEL_PLAYBOOK,
    LABEL_PLAYBOOK_DIGEST,
    LABEL_PROBE,
    LABEL_PROJECT,
    LABEL_RESTART_COUNT,
    LABEL_RUN_DIR,
    LABEL_RUN_ID,
    LABEL_SECRETS,
    LABEL_SIDECAR,
    LABEL_SPEC_HASH,
    PROBE_FOLDER,
    SECRETS_FOLDER,
)
from orchestrator.state.spec import (
    NO_NETWORK,
    SHAREABLE,
    ContainerSpec,
    Mount,
    NodeSpec,
    SidecarSpec,
    spec_hash,
)


class ProbePlace(Struct, frozen=True):
    """Where the probe lies on this machine, and the PYTHONPATH that comes after it.

    `pythonpath` is what a node's image has; one that the node is given itself replaces it.
    """

    source: Path
    pythonpath: str = ""


class Creation(Struct, frozen=True):
    """A node or a sidecar as it should be, the run it is for, and who makes it.

    Attributes:
        node: the node, or the sidecar.
        identity: its run.
        owner: whose it is.
        private: the run's folder for what nobody else may see (`private.py`).
        probe: where the probe is; None for a node without it.
        restores: the compute modes that a sidecar's GPUs are given back when it goes.
    """

    node: ContainerSpec
    identity: RunIdentity
    owner: str
    private: Path = Path()
    probe: ProbePlace | None = None
    restores: Restores = ()

    @property
    def shown_env(self) -> dict[str, str]:
        """The variables whose values may be seen by whoever lists this machine's processes."""
        hidden = self.node.hidden_env
        shown = {name: value for name, value in self._given.items() if name not in hidden}
        return shown | told_to_nodes(self.identity)

    @property
    def env(self) -> dict[str, str]:
        """All variables, in the order in which an engine is told of them."""
        return {name: self._given[name] for name in self.node.hidden_env} | self.shown_env

    @property
    def _given(self) -> dict[str, str]:
        """The node's own variables, and what makes its Python processes find the probe."""
        env = dict(self.node.env)
        if self.probe is None:
            return env
        found = with_probe(env, PROBE_FOLDER, self.probe.pythonpath)
        return found | {ENV_PROBE_CHANNEL: PROBE_CHANNEL}

    @property
    def secrets(self) -> Path:
        """The folder that the node finds at /run/secrets."""
        return self.private / "secrets"

    @property
    def mounts(self) -> tuple[Mount, ...]:
        """The folders and files of this machine that the node sees."""
        mounts = self.node.mounts
        if self.node.secrets:
            mounts = (*mounts, Mount(str(self.secrets), SECRETS_FOLDER, read_only=True))
        if self.probe is not None:
            mounts = (*mounts, Mount(str(self.probe.source), PROBE_FOLDER, read_only=True))
        return mounts

    @property
    def health_command(self) -> str | None:
        """The node's health command; a Python in it is no process of the run, and says nothing."""
        health = self.node.health
        return f"{ASIDE}{health.command}" if health else None

    @property
    def labels(self) -> dict[str, str]:
        """All that is remembered of the node."""
        node, identity = self.node, self.identity
        labels = {
            LABEL_PROJECT: identity.project,
            LABEL_OWNER: self.owner,
            **self._place,
            LABEL_RUN_ID: identity.run_id,
            LABEL_SPEC_HASH: spec_hash(node),
            LABEL_PLAYBOOK: identity.playbook,
            LABEL_PLAYBOOK_DIGEST: identity.playbook_digest,
            LABEL_RUN_DIR: identity.run_dir,
            LABEL_RESTART_COUNT: str(identity.restart_count),
        }
        if node.hidden_env:
            labels[LABEL_HIDDEN_ENV] = ",".join(node.hidden_env)
        if node.secrets:
            labels[LABEL_SECRETS] = ",".join(secret.name for secret in node.secrets)
        if self.probe is not None:
            labels[LABEL_PROBE] = str(self.probe.source)
        return labels

    @property
    def _place(self) -> dict[str, str]:
        """What it is in its project: a node of some ranks, or a sidecar."""
        match self.node:
            case NodeSpec(node_rank=node_rank, num_ranks=num_ranks):
                return {LABEL_NODE_RANK: str(node_rank), LABEL_NUM_RANKS: str(num_ranks)}
            case SidecarSpec(role=role, compute_mode=None):
                return {LABEL_SIDECAR: role}
            case SidecarSpec(role=role, compute_mode=str() as mode):
                before = ",".join(f"{uuid}={mode}" for uuid, mode in self.restores)
                return {
                    LABEL_SIDECAR: role,
                    LABEL_COMPUTE_MODE: mode,
                    LABEL_COMPUTE_MODE_BEFORE: before,
                }
            case _:
                return {}

    @property
    def ipc_mode(self) -> str | None:
        """The IPC namespace in Docker's words; None: the container's own."""
        ipc = self.node.ipc
        return ipc if ipc in {None, SHAREABLE} else f"container:{ipc}"

    @property
    def alias(self) -> str | None:
        """The name that peers find it by; None where it is on no network of theirs."""
        return None if self.node.network in {None, NO_NETWORK} else self.node.name
