"""What a security profile makes of a node: its confinement, its user, its environment. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.playbook.security import TMP, Security
from orchestrator.state.spec import Confinement

STRICT_USER = "65534:65534"
"""`nobody` on every distribution. Known before the image is, whoever that would run as."""

DEFAULT_TMP_BYTES = 1024**3

_STRICT_ENV = {
    "HOME": TMP,
    "XDG_CACHE_HOME": f"{TMP}/.cache",
    "TORCH_HOME": f"{TMP}/torch",
    "HF_HOME": f"{TMP}/huggingface",
    "TRITON_CACHE_DIR": f"{TMP}/triton",
    "TORCHINDUCTOR_CACHE_DIR": f"{TMP}/torchinductor",
    # torch asks for the user's name, which /etc/passwd need not know.
    "LOGNAME": "node",
}


def confinement_of(security: Security) -> Confinement:
    """What nodes are kept from doing."""
    if security.profile == "default":
        return Confinement()
    size = security.tmp_bytes or DEFAULT_TMP_BYTES
    # Executable, unlike Docker's own default: compilers of kernels load what they put there.
    return Confinement(read_only_root=True, tmpfs=((TMP, f"rw,exec,nosuid,nodev,size={size}"),))


def environment_of(security: Security) -> Mapping[str, str]:
    """Variables that make a node's programs write where they can."""
    return {} if security.profile == "default" else _STRICT_ENV


def default_user(security: Security) -> str | None:
    """Who runs a node of whose user nothing is said; None: whom its image names."""
    return None if security.profile == "default" else STRICT_USER
