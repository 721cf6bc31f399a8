"""What objects on an engine are labelled with, and the names that nodes are told.

Everything an engine must remember about an object is in these labels, on the object
itself: there is no state file to lose.
"""

from __future__ import annotations

LABEL_PROJECT = "orchestrate.project"
LABEL_NODE_RANK = "orchestrate.node_rank"
LABEL_NUM_RANKS = "orchestrate.num_ranks"
LABEL_RUN_ID = "orchestrate.run_id"
LABEL_SPEC_HASH = "orchestrate.spec_hash"
LABEL_PLAYBOOK = "orchestrate.playbook"
LABEL_PLAYBOOK_DIGEST = "orchestrate.playbook_digest"
LABEL_RUN_DIR = "orchestrate.run_dir"
LABEL_RESTART_COUNT = "orchestrate.restart_count"
LABEL_HIDDEN_ENV = "orchestrate.hidden_env"
LABEL_SECRETS = "orchestrate.secrets"
LABEL_OWNER = "orchestrate.owner"
LABEL_PROBE = "orchestrate.probe"
LABEL_SIDECAR = "orchestrate.sidecar"
LABEL_COMPUTE_MODE = "orchestrate.compute_mode"
LABEL_COMPUTE_MODE_BEFORE = "orchestrate.compute_mode_before"

SECRETS_FOLDER = "/run/secrets"
"""Where a container finds its secrets."""

PROBE_FOLDER = "/opt/orchestrate/probe"
"""Where a container finds the probe, first on its PYTHONPATH."""

ENV_SECRETS_DIR = "ORCHESTRATE_SECRETS_DIR"
"""Tells a node where its secrets are: the one name that holds on every engine."""
