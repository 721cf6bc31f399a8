"""What is reported of a process on its way into a group, with a torch that is a fake."""

from __future__ import annotations

import hashlib
import platform
import socket
from typing import Any

import pytest

from orchestrator.probe.site.orchestrate_probe import environment, rendezvous
from orchestrator.probe.site.orchestrate_probe.proof import CARD
from tests.unit.probe.stand import RUN_ID, both, run, running

JOIN = """
import sys, torch.distributed as dist
dist.init_process_group("gloo")
"""
ALONE = {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}
WAY = ("rendezvous_started", "name_resolved", "master_reached", "store_joined")


def test_a_process_tells_how_it_joins() -> None:
    outcome = run(
        "-c", JOIN, env={**ALONE, "MASTER_PORT": str(_free_port()), "FAKE_INIT": "listens"}
    )
    told = outcome.channel.of(
        "torch_imported", "master_reached", "store_joined", "process_group_joined"
    )
    card = CARD.pack(0, platform.node().encode(), b"")
    assert outcome.seen == (0, "", "")
    assert told == [
        {
            "event": "torch_imported",
            "rank": 0,
            "torch": "9.9.0+fake",
            "cuda": "13.0",
            "nccl": "2.30.7",
        },
        {"event": "master_reached", "rank": 0, "address": "127.0.0.1"},
        {"event": "store_joined", "rank": 0},
        {
            "event": "process_group_joined",
            "rank": 0,
            "world_size": 1,
            "backend": "gloo",
            "master_addr": "127.0.0.1",
            "rank_sum": 0,
            "hostname": platform.node(),
            "peers": hashlib.sha256(card).hexdigest()[:16],
        },
    ]


def test_a_master_whose_name_is_unknown_is_told_while_the_script_waits() -> None:
    env = {**ALONE, "MASTER_ADDR": "no-such-host.invalid", "FAKE_INIT": "waits"}
    with running("-c", JOIN, env=env) as program:
        program.channel.wait_for(b'"name_resolved"')
        program.process.communicate(timeout=60)
    started, resolved = program.channel.of("rendezvous_started", "name_resolved")
    assert started == {
        "event": "rendezvous_started",
        "rank": 0,
        "master_addr": "no-such-host.invalid",
        "master_port": "29500",
        "world_size": 1,
        "backend": "gloo",
        "init_method": "env://",
    }
    assert resolved["error"]
    assert program.channel.of("master_reached") == []


@pytest.mark.parametrize(
    ("arguments", "environ", "expected"),
    [
        ({}, ALONE, ("127.0.0.1", "29500", 0, 1, "", "env://")),
        ({"backend": "NCCL"}, {"RANK": "x"}, ("", "", None, None, "nccl", "env://")),
        ({"rank": 2, "world_size": 4}, ALONE, ("127.0.0.1", "29500", 2, 4, "", "env://")),
        (
            {"init_method": "tcp://[::1]:123?rank=5&world_size=6"},
            ALONE,
            ("::1", "123", 5, 6, "", "tcp://[::1]:123?rank=5&world_size=6"),
        ),
        (
            {"init_method": "file:///tmp/meet", "rank": 1, "world_size": 2},
            ALONE,
            ("", "", 1, 2, "", "file:///tmp/meet"),
        ),
    ],
)
def test_what_a_process_takes_the_group_to_be(
    monkeypatch: pytest.MonkeyPatch,
    arguments: dict[str, Any],
    environ: dict[str, str],
    expected: tuple[Any, ...],
) -> None:
    for name in ALONE:
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    def init_process_group(
        backend: Any = None,
        init_method: Any = None,
        world_size: int = -1,
        rank: int = -1,
        store: Any = None,
    ) -> None:
        """Stand in for torch's."""

    view = rendezvous.view(init_process_group, (), arguments)
    found = (view.master_addr, view.master_port, view.rank, view.world_size)
    assert (*found, view.backend, view.init_method) == expected


def test_the_threads_that_look_at_a_join_end_with_it() -> None:
    script = """
import os, time
from orchestrate_probe import rendezvous, reporting
rendezvous.FIRST_PAUSE_S = rendezvous.LONGEST_PAUSE_S = 600.0
view, looked = rendezvous.View(), []
view.master_addr, view.master_port = "no-such-name", "1"
rendezvous._resolved = lambda name: looked.append(name) or ([], "unknown")
approach = rendezvous.Approach(reporting._reporter, view)
approach.look = lambda: looked.append("connections")
def num_others(): return len(os.listdir("/proc/self/task")) - 1
before = num_others()
approach.begin()
while len(looked) < 2: time.sleep(0.01)  # from here on both are about to pause
approach.end()
approach.end()  # of a call that could not be looked at
while num_others() > before: time.sleep(0.01)
print("ended")
"""
    outcome = run("-c", script, env=ALONE)
    assert outcome.seen == (0, "ended\n", "")


def test_a_call_that_torch_would_refuse_is_refused_by_torch() -> None:
    script = "import torch.distributed as dist; dist.init_process_group(nonsense=1)"
    outcome = run("-c", script)
    assert outcome.code == 1
    assert "TypeError: init_process_group() got an unexpected keyword argument" in outcome.stderr
    assert [each["event"] for each in outcome.channel.of("probe_fault", "rank_failed")] == [
        "probe_fault",
        "rank_failed",
    ]


def test_a_group_that_does_not_form_raises_what_it_always_raised() -> None:
    script = """
import torch.distributed as dist
try:
    dist.init_process_group()
except ValueError as error:
    print(repr(error), error.__context__)
"""
    without, with_probe = both("-c", script, env={**ALONE, "FAKE_INIT": "fails"})
    assert with_probe.seen == without.seen == (0, "ValueError('no group today') None\n", "")
    assert with_probe.channel.of("process_group_joined", "probe_fault") == []


def test_a_proof_that_cannot_be_had_is_a_fault_of_the_probe_alone() -> None:
    without, with_probe = both("-c", JOIN + "print('on')", env={**ALONE, "WORLD_SIZE": "2"})
    assert with_probe.seen == without.seen == (0, "on\n", "")
    assert with_probe.channel.of("probe_fault", "process_group_joined") == [
        {
            "event": "probe_fault",
            "rank": 0,
            "where": "proof",
            "error": "RuntimeError: this torch has no gloo",
        }
    ]


def test_the_function_that_is_wrapped_looks_and_pickles_as_before() -> None:
    script = """
import inspect, pickle, torch.distributed as dist
from torch.distributed.distributed_c10d import init_process_group as original
print(inspect.signature(original), original.__doc__, original.__module__, original.__qualname__)
print(original is dist.init_process_group, pickle.loads(pickle.dumps(original)) is original)
"""
    without, with_probe = both("-c", script)
    assert with_probe.seen == without.seen


def test_every_variable_has_a_digest_that_depends_on_the_run() -> None:
    environ = {f"NAME_{number:03}": f"value {number}" for number in range(300)}
    parts = list(environment.parts({**environ, "x" * 300: ""}, RUN_ID))
    joined = {name: digest for part in parts for name, digest in part.items()}
    expected = {
        name: hashlib.sha256(f"{RUN_ID}\0{value}".encode()).hexdigest()[:12]
        for name, value in environ.items()
    }
    assert joined == expected
    assert len(parts) == 4


def test_the_environment_reaches_the_reader_whole() -> None:
    many = {f"A_VARIABLE_WITH_A_LONG_NAME_{number:03}": "x" * number for number in range(200)}
    outcome = run("-c", JOIN, env={**ALONE, **many})
    digests: dict[str, str] = {}
    for part in outcome.channel.of("environment"):
        digests |= part["digests"]
    assert set(many) <= set(digests)
    assert "ORCHESTRATE_PROBE_SPOKEN_FOR" not in digests


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
