"""Addresses that mean "this container itself", as values and inside commands. Pure."""

from __future__ import annotations

import ipaddress
import re
import socket

_NAMES = frozenset(
    ("localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback", "localhost6")
)
_OPTIONS = (
    r"--(?:master[-_]addr|rdzv[-_]endpoint|init[-_]method|dist[-_]url|dist[-_]init[-_]method)"
)
_ADDRESS = re.compile(
    rf"(?:{_OPTIONS}(?:=|\s+)|\bMASTER_ADDR=)[\"']?(?:tcp://)?"
    r"(?P<host>\[[0-9a-fA-F:.]+\]|[0-9a-fA-F]*:[0-9a-fA-F:.]+|[A-Za-z0-9_.-]+)",
    re.ASCII,
)
_OPTION_ALONE = re.compile(_OPTIONS, re.ASCII)


def is_loopback(host: str) -> bool:
    """True when a host, in any of its spellings, is the loopback of whoever asks.

    Linux connects `0.0.0.0` and `::` to the loopback too.
    """
    name = host.strip().lower().strip("[]").rstrip(".")
    if name in _NAMES or name.endswith(".localhost"):
        return True
    try:
        # Takes the short spellings as well: 127.1, 0x7f000001, 2130706433.
        first = socket.inet_aton(name)[0] if name else 1
    except OSError:
        return _is_loopback6(name)
    return first in (0, 127)


def _is_loopback6(name: str) -> bool:
    try:
        address = ipaddress.IPv6Address(name.partition("%")[0])
    except ValueError:
        return False
    mapped = address.ipv4_mapped
    inner = mapped if mapped is not None else address
    return inner.is_loopback or inner.is_unspecified


def loopbacks_in(command: tuple[str, ...]) -> list[tuple[int, str]]:
    """Find rendezvous addresses in a command that are loopbacks.

    Args:
        command: arguments; one of them may be a shell script.

    Returns:
        The index of each such argument, and the address as it stands there.
    """
    found = []
    for index, argument in enumerate(command):
        text = argument
        if _OPTION_ALONE.fullmatch(argument) and index + 1 < len(command):
            text = f"{argument} {command[index + 1]}"
        hosts = [match["host"] for match in _ADDRESS.finditer(text)]
        found += [(index, host) for host in hosts if is_loopback(host)]
    return found
