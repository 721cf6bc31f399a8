import os
import socket
import sys

__all__ = ["all_reduce", "get_rank", "get_world_size", "init_process_group"]

_group = {}


def rendezvous(url, rank=-1, world_size=-1):
    """Be the store and its client in one, where that is wanted."""
    if os.environ.get("FAKE_INIT") == "listens":
        server = socket.create_server((os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])))
        _group["sockets"] = server, socket.create_connection(server.getsockname()), server.accept()
    return iter([(None, rank, world_size)])


def init_process_group(
    backend=None, init_method=None, timeout=None, world_size=-1, rank=-1, store=None
):
    """Make the default group of fakes."""
    if os.environ.get("FAKE_INIT") == "fails":
        raise ValueError("no group today")
    if store is None:
        next(rendezvous(init_method or "env://", rank, world_size))
    if os.environ.get("FAKE_INIT") == "waits":
        sys.stdin.read()
    _group["rank"] = rank if rank >= 0 else int(os.environ["RANK"])
    _group["world_size"] = world_size if world_size >= 0 else int(os.environ["WORLD_SIZE"])
    _group["backend"] = backend or "undefined"


def get_rank():
    return _group["rank"]


def get_world_size():
    return _group["world_size"]


def get_backend():
    return _group["backend"]


def is_gloo_available():
    return False


def all_reduce():
    """Wait for a peer: whoever holds our standard input."""
    sys.stdin.read()
