"""What a playbook must satisfy beyond the types of its values: one function a rule."""

from __future__ import annotations

from orchestrator.playbook.rules.base import Rule, Site
from orchestrator.playbook.rules.checks import (
    ASKED_NODE,
    CHECKS_ONCE,
    MPS_CHECK,
    REFERENCE,
    THROUGHPUT,
)
from orchestrator.playbook.rules.confinement import (
    STRICT_DAEMON,
    STRICT_IMAGE,
    STRICT_NETWORK,
    STRICT_TMP,
    STRICT_USER,
    TMP_SIZE,
)
from orchestrator.playbook.rules.files import (
    BUILD_FILES,
    MOUNT_SOURCES,
    MOUNT_TARGETS,
    PROBE_TARGETS,
)
from orchestrator.playbook.rules.gpus import GPU_RULES
from orchestrator.playbook.rules.launch import (
    COMMAND_LAUNCHER,
    COMMAND_LOOPBACK,
    COMMAND_TEXT,
    ENVIRONMENT,
    NODE_RANKS,
)
from orchestrator.playbook.rules.machine import MEMORY, NETWORK
from orchestrator.playbook.rules.sources import ENV_FILES, SECRETS, SECRETS_TARGET

RULES: tuple[Rule, ...] = (
    ENVIRONMENT,
    COMMAND_TEXT,
    COMMAND_LOOPBACK,
    COMMAND_LAUNCHER,
    NODE_RANKS,
    MOUNT_SOURCES,
    MOUNT_TARGETS,
    PROBE_TARGETS,
    BUILD_FILES,
    MEMORY,
    NETWORK,
    *GPU_RULES,
    CHECKS_ONCE,
    THROUGHPUT,
    REFERENCE,
    ASKED_NODE,
    MPS_CHECK,
    STRICT_IMAGE,
    STRICT_NETWORK,
    STRICT_TMP,
    STRICT_USER,
    STRICT_DAEMON,
    TMP_SIZE,
    ENV_FILES,
    SECRETS,
    SECRETS_TARGET,
)

__all__ = ["RULES", "Rule", "Site"]
