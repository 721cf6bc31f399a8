"""Runs real ranks over loopback, each as a node of its own would run it."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from pathlib import Path

from tests.unit.probe.stand import Outcome, running

SCRIPTS = Path(__file__).resolve().parent / "scripts"
DEADLINE_S = 240.0


def run_ranks(script: str, *arguments: str, probe: bool = True, **env: str) -> list[Outcome]:
    """Run a script as two ranks, to the end of both."""
    port = free_port()
    with ExitStack() as stack:
        programs = [
            stack.enter_context(
                running(
                    str(SCRIPTS / script),
                    *arguments,
                    probe=probe,
                    torch=False,
                    env={**rank_variables(rank, port), **env},
                )
            )
            for rank in range(2)
        ]
        said = [program.process.communicate(timeout=DEADLINE_S) for program in programs]
    return [
        Outcome(program.process.returncode, *output, program.channel)
        for program, output in zip(programs, said, strict=True)
    ]


def rank_variables(rank: int, port: int) -> dict[str, str]:
    """What orchestrate tells a node of one rank."""
    return {
        "RANK": str(rank),
        "LOCAL_RANK": "0",
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "OMP_NUM_THREADS": "1",
    }


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
