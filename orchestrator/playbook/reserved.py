"""Names of variables that belong to orchestrate: a node gets these whatever else it gets. Pure."""

from __future__ import annotations

RESERVED = frozenset(
    (
        "MASTER_ADDR",
        "MASTER_PORT",
        "RANK",
        "WORLD_SIZE",
        "LOCAL_RANK",
        "LOCAL_WORLD_SIZE",
        "GROUP_RANK",
        "NODE_RANK",
        "TORCHELASTIC_RESTART_COUNT",
    )
)
RESERVED_PREFIX = "ORCHESTRATE_"


def reserved(name: str) -> tuple[str, str] | None:
    """What is wrong with setting a variable by hand, and how to mend it; None: nothing."""
    if name in RESERVED or name.startswith(RESERVED_PREFIX):
        return f"{name} is set for every rank by orchestrate", "remove it"
    return None
