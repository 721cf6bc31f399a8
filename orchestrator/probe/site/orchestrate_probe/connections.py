"""This process's TCP connections, as the kernel lists them."""

from __future__ import annotations

import os
import socket
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator

_ESTABLISHED = "01"
_TABLES = (("/proc/self/net/tcp", socket.AF_INET), ("/proc/self/net/tcp6", socket.AF_INET6))
_MAPPED = "::ffff:"


def established(port: int) -> str | None:
    """The other side's address of a connection of ours to a port over there, if there is one."""
    candidates = [(inode, address) for inode, address in _to_port(port)]
    if not candidates:
        return None
    own = _own_inodes()
    return next((address for inode, address in candidates if inode in own), None)


def _to_port(port: int) -> Iterator[tuple[str, str]]:
    """Yield (inode, address) of each connection in this network namespace to that port."""
    for path, family in _TABLES:
        for line in _lines(path):
            _, _, remote, state, *rest = line.split()
            address, _, number = remote.partition(":")
            if state == _ESTABLISHED and int(number, 16) == port:
                yield rest[5], _address(address, family)


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="ascii") as table:
            return table.readlines()[1:]  # without the heading
    except FileNotFoundError:  # a kernel without IPv6, or no Linux
        return []


def _address(text: str, family: int) -> str:
    """Read the kernel's notation: 32-bit words in hexadecimal, of the machine's byte order."""
    words = [int(text[at : at + 8], 16) for at in range(0, len(text), 8)]
    packed = b"".join(word.to_bytes(4, sys.byteorder) for word in words)
    name = socket.inet_ntop(family, packed)
    return name[len(_MAPPED) :] if name.startswith(_MAPPED) else name


def _own_inodes() -> set[str]:
    inodes = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue  # closed meanwhile
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    return inodes
