"""What an MPS daemon is asked, carried out by a real shell with a stand-in for the program."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from orchestrator.gpus.mps_clients import ASK, most_clients

HEAD = "PID ID SERVER DEVICE NAMESPACE COMMAND"
ONE = "9741 0 6472 GPU-cb1213a3-d6a4-be7f 4026531836 ./nbody"
TWO = "    0 0 6472 GPU-cb1213a3-d6a4-be7f 4026531837 python -m train 12"


def ask(folder: Path, *lines: str, code: int = 0) -> tuple[int, str]:
    """Put a program that answers so, and ask it."""
    (folder / "answer").write_text("".join(f"{line}\n" for line in lines))
    program = folder / "nvidia-cuda-mps-control"
    program.write_text(
        "#!/bin/sh\nread -r command\n"
        f'[ "$command" = ps ] || exit 99\ncat "{folder}/answer"\nexit {code}\n'
    )
    program.chmod(0o755)
    done = subprocess.run(
        ["sh", "-c", ASK],
        env={
            "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
            "CUDA_MPS_LOG_DIRECTORY": str(folder),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_clients_are_counted_and_the_most_that_were_is_remembered(tmp_path: Path) -> None:
    assert ask(tmp_path, HEAD) == (0, "clients: 0 now, 0 at most\n")
    assert ask(tmp_path, HEAD, ONE) == (0, "clients: 1 now, 1 at most\n")
    assert ask(tmp_path, HEAD, ONE, TWO) == (0, "clients: 2 now, 2 at most\n")
    assert ask(tmp_path, HEAD, TWO) == (0, "clients: 1 now, 2 at most\n")
    assert ask(tmp_path) == (0, "clients: 0 now, 2 at most\n")


def test_a_daemon_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    why = "Cannot find MPS control daemon process"
    assert ask(tmp_path, why, code=1) == (1, f"{why}\n")


@pytest.mark.parametrize(
    ("answer", "most"),
    [
        ("clients: 1 now, 2 at most", 2),
        ("clients: 0 now, 0 at most", 0),
        ("", 0),
        ("Cannot find MPS control daemon process", 0),
        ("clients: 1 now, 2 at most; and more", 0),
        ("clients: 1 now, 9999999999 at most", 0),
        ("clients: 1 now, ² at most", 0),
    ],
)
def test_what_an_answer_tells(answer: str, most: int) -> None:
    assert most_clients(answer) == most
