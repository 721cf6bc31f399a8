"""The way to the master: what a process takes for it, and how far it gets. Nobody is called.

Whether the master was reached is read from the kernel's table of this process's
connections: a probe that connected by itself would be one more client of the store.
"""

from __future__ import annotations

import inspect
import os
import socket
from _thread import allocate_lock, start_new_thread
from urllib.parse import parse_qs, urlsplit

from .connections import established
from .guarding import guarded
from .reporting import rank_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Mapping

    from .reporting import Reporter

FIRST_PAUSE_S = 0.02
LONGEST_PAUSE_S = 0.5
MAX_ADDRESSES = 8


class View:
    """What this process takes the group to be."""

    def __init__(self) -> None:
        self.master_addr = ""
        self.master_port = ""
        self.rank: int | None = None
        self.world_size: int | None = None
        self.backend = ""
        self.init_method = ""
        self.has_store = False

    def fields(self) -> dict[str, Any]:
        """What `rendezvous_started` says of it."""
        return {
            "master_addr": self.master_addr,
            "master_port": self.master_port,
            "world_size": self.world_size,
            "backend": self.backend[:256],
            "init_method": self.init_method,
        }


def view(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> View:
    """Read it from a call of init_process_group, and from the environment as torch does."""
    given = inspect.signature(function).bind(*args, **kwargs).arguments
    result = View()
    store = given.get("store")
    result.backend = str(given.get("backend") or "").lower()
    result.init_method = str(given.get("init_method") or ("" if store is not None else "env://"))
    result.has_store = store is not None
    address, query = _address(store, result.init_method, os.environ)
    result.master_addr, result.master_port = address
    result.rank = _number(given.get("rank", -1), query, "rank", "RANK")
    result.world_size = _number(given.get("world_size", -1), query, "world_size", "WORLD_SIZE")
    return result


def _address(
    store: Any, init_method: str, environ: Mapping[str, str]
) -> tuple[tuple[str, str], dict[str, list[str]]]:
    while hasattr(store, "underlying_store"):  # a PrefixStore
        store = store.underlying_store
    if store is not None:
        host, port = getattr(store, "host", ""), getattr(store, "port", "")
        return (str(host or ""), str(port or "")), {}
    url = urlsplit(init_method)
    query = parse_qs(url.query)
    if url.scheme == "env":
        return (environ.get("MASTER_ADDR", ""), environ.get("MASTER_PORT", "")), query
    return (url.hostname or "", str(url.port or "")), query


def _number(argument: Any, query: Mapping[str, list[str]], name: str, variable: str) -> int | None:
    text = argument if int(argument) >= 0 else query.get(name, [os.environ.get(variable, "")])[0]
    return rank_of(str(text))


class Approach:
    """Watches one init_process_group on its way, from a thread, for as long as it blocks."""

    def __init__(self, reporter: Reporter, view: View) -> None:
        self._reporter = reporter
        self._view = view
        self._is_over = False
        self._is_reached = False
        self._over = allocate_lock()  # held until it is over
        self._over.acquire()

    def begin(self) -> None:
        """Start watching, if there is an address to watch."""
        if self._view.master_addr and self._view.master_port.isdigit():
            start_new_thread(self._resolve, ())
            start_new_thread(self._watch, ())

    def end(self) -> None:
        """Stop: the call has returned, or raised."""
        if not self._is_over:
            self._is_over = True
            self._over.release()

    def _pause(self, longest_s: float) -> None:
        """Wait, but not beyond the end: a script that forks then is to find no thread."""
        if self._over.acquire(timeout=longest_s):
            self._over.release()

    @guarded("name")
    def _resolve(self) -> None:
        said = None
        while not self._is_over:
            addresses, error = _resolved(self._view.master_addr)
            if (addresses, error) != said:
                said = (addresses, error)
                self._reporter.send("name_resolved", addresses=addresses, error=error)
            if addresses:
                return
            self._pause(LONGEST_PAUSE_S)

    @guarded("connections")
    def _watch(self) -> None:
        pause_s = FIRST_PAUSE_S
        while not self._is_over and not self._is_reached:
            self.look()
            self._pause(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def look(self) -> None:
        """Report a connection with the master's port as soon as there is one."""
        if self._is_reached or not self._view.master_port.isdigit():
            return
        address = established(int(self._view.master_port))
        if address and not self._is_reached:
            self._is_reached = True
            self._reporter.send("master_reached", address=address)


def _resolved(name: str) -> tuple[list[str], str]:
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError as error:
        return [], str(error)[:256]
    addresses: list[str] = []
    for entry in found:
        if str(entry[4][0]) not in addresses:
            addresses.append(str(entry[4][0]))
    return addresses[:MAX_ADDRESSES], ""
