"""Commands that start ranks by themselves, looked through; the table held against torch's own."""

from __future__ import annotations

import pytest

from orchestrator.starting.torchrun import SWITCHES, VALUES, Launched, is_loopback, launched


@pytest.mark.torch
def test_the_table_has_every_option_of_torchrun() -> None:
    from torch.distributed.run import get_args_parser

    for action in get_args_parser()._actions:
        names = {name.lstrip("-").replace("_", "-") for name in action.option_strings}
        names = {name for name in names if len(name) > 1} - {"help"}
        assert names <= (SWITCHES if action.nargs == 0 else VALUES)


@pytest.mark.parametrize(
    ("command", "found"),
    [
        ("python train.py", None),
        ("torchrun", None),
        ("torchrun --no-such-option 3 train.py", None),
        ("torchrun --run-path train.py", None),
        ("python -m torch.distributed.run", None),
        ("torchrun train.py -m x", Launched(("python", "train.py", "-m", "x"))),
        (
            "/opt/bin/torchrun --nproc_per_node 2 --node-rank=1 -m pkg.train",
            Launched(
                ("python", "-m", "pkg.train"),
                {"nproc-per-node": "2", "node-rank": "1", "module": ""},
            ),
        ),
        (
            "python3.12 -u -m torch.distributed.launch --use_env --nnodes=1:4 train.py",
            Launched(("python3.12", "train.py"), {"use-env": "", "nnodes": "1:4"}),
        ),
        ("torchrun -t 3 --no-python ./run", Launched(("./run",), {"tee": "3", "no-python": ""})),
    ],
)
def test_what_is_launched(command: str, found: Launched | None) -> None:
    assert launched(command.split()) == found


def test_addresses_that_mean_the_container_itself() -> None:
    asked = "localhost localhost:29500 127.0.0.1 127.1.2.3:1 ::1 [::1]:29 0.0.0.0 node-0 10.0.0.1:2"
    assert [each for each in asked.split() if not is_loopback(each)] == ["node-0", "10.0.0.1:2"]
