"""A node that is about to be made: what both ways to make a container start from. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from orchestrator.identity import told_to_nodes
from orchestrator.state.desired import RunIdentity
from orchestrator.state.labels import (
    LABEL_HIDDEN_ENV,
    LABEL_NODE_RANK,
    LABEL_NUM_RANKS,
    LABEL_OWNER,
    LABEL_PLAYBOOK,
    LABEL_PLAYBOOK_DIGEST,
    LABEL_PROJECT,
    LABEL_RESTART_COUNT,
    LABEL_RUN_DIR,
    LABEL_RUN_ID,
    LABEL_SECRETS,
    LABEL_SPEC_HASH,
    SECRETS_FOLDER,
)
from orchestrator.state.spec import Mount, NodeSpec, spec_hash


@dataclass(frozen=True, slots=True)
class Creation:
    """A node as it should be, the run it is for, and who makes it.

    `private` is the run's folder for what nobody else may see (`private.py`).
    """

    node: NodeSpec
    identity: RunIdentity
    owner: str
    private: Path = Path()

    @property
    def shown_env(self) -> dict[str, str]:
        """The variables whose values may be seen by whoever lists this machine's processes."""
        shown = {name: value for name, value in self.node.env if name not in self.node.hidden_env}
        return shown | told_to_nodes(self.identity)

    @property
    def env(self) -> dict[str, str]:
        """All variables, in the order in which an engine is told of them."""
        env = dict(self.node.env)
        return {name: env[name] for name in self.node.hidden_env} | self.shown_env

    @property
    def secrets(self) -> Path:
        """The folder that the node finds at /run/secrets."""
        return self.private / "secrets"

    @property
    def mounts(self) -> tuple[Mount, ...]:
        """The folders and files of this machine that the node sees."""
        secrets = Mount(str(self.secrets), SECRETS_FOLDER, read_only=True)
        return (*self.node.mounts, secrets) if self.node.secrets else self.node.mounts

    @property
    def labels(self) -> dict[str, str]:
        """All that is remembered of the node."""
        node, identity = self.node, self.identity
        labels = {
            LABEL_PROJECT: identity.project,
            LABEL_OWNER: self.owner,
            LABEL_NODE_RANK: str(node.node_rank),
            LABEL_NUM_RANKS: str(node.num_ranks),
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
        return labels
