"""A command that starts ranks by itself (torchrun) -> what it runs, and how many. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import Struct, field

_PYTHON = re.compile(r"(.*/)?python(\d+(\.\d+)?)?", re.ASCII)
_MODULES = frozenset(("torch.distributed.run", "torch.distributed.launch"))
_LOOPBACK = re.compile(r"localhost|127\.\d+\.\d+\.\d+|::1|0\.0\.0\.0", re.ASCII)

# Options of `torchrun --help` (torch 2.13), those that take a value and those that take none.
VALUES = frozenset(
    (
        *("duplicate-stderr-filters", "duplicate-stdout-filters", "event-log-handler"),
        *("local-addr", "local-ranks-filter", "log-dir", "logs-specs", "master-addr"),
        *("master-port", "max-restarts", "monitor-interval", "nnodes", "node-rank"),
        *("nproc-per-node", "numa-binding", "rdzv-backend", "rdzv-conf", "rdzv-endpoint"),
        *("rdzv-id", "redirects", "role", "shutdown-timeout", "signals-to-handle"),
        *("start-method", "tee"),
    )
)
SWITCHES = frozenset(
    ("standalone", "module", "no-python", "run-path", "virtual-local-rank", "use-env")
)
_SHORT = {"r": "redirects", "t": "tee", "m": "module"}


class Launched(Struct, frozen=True):
    """What torchrun was told.

    Attributes:
        command: what each rank runs.
        options: of torchrun, by their names with `-`; a switch has an empty value.
    """

    command: tuple[str, ...]
    options: dict[str, str] = field(default_factory=dict)


def launched(command: Sequence[str]) -> Launched | None:
    """Look through torchrun; None where a command does not start ranks, or not in a known way."""
    python, rest = _inside(command)
    if rest is None:
        return None
    options: dict[str, str] = {}
    while rest and rest[0].startswith("-"):
        word = rest.pop(0)
        name, has_value, value = word.lstrip("-").partition("=")
        name = _SHORT.get(name, name.replace("_", "-"))
        if name in VALUES and (has_value or rest):
            options[name] = value if has_value else rest.pop(0)
        elif name in SWITCHES and not has_value:
            options[name] = ""
        else:
            return None
    if not rest or "run-path" in options:
        return None
    prefix = () if "no-python" in options else (python, "-m") if "module" in options else (python,)
    return Launched((*prefix, *rest), options)


def _inside(command: Sequence[str]) -> tuple[str, list[str] | None]:
    """The interpreter of the ranks, and what torchrun is told; None: no torchrun."""
    program, *rest = command or ("",)
    if program.rpartition("/")[2] == "torchrun":
        return "python", rest
    while rest[:1] == ["-u"]:
        rest.pop(0)
    is_module = bool(_PYTHON.fullmatch(program)) and rest[:1] == ["-m"] and len(rest) > 1
    return program, rest[2:] if is_module and rest[1] in _MODULES else None


def is_loopback(address: str) -> bool:
    """True for an address that means the very machine, or container, that asks."""
    hosts = (address, address.rpartition(":")[0])
    return any(_LOOPBACK.fullmatch(host.strip("[]")) for host in hosts)
