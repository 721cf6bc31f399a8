"""How the end of a process is told, and that it ends as it does without the probe."""

from __future__ import annotations

import re

import pytest

from tests.unit.probe.stand import both, run, running

RANK = {"RANK": "1"}
HOOKED = """
import sys
def mine(kind, value, trace):
    print("mine:", value)
sys.excepthook = mine
raise ValueError("boom")
"""


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("pass", 0),
        ("import sys; sys.exit(3)", 3),
        ("import sys; sys.exit('in words')", 1),
        ("raise ValueError('boom')", 1),
        ("raise KeyboardInterrupt", -2),
        ("import os; os._exit(4)", 4),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", -15),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -9),
        ("import os; os.abort()", -6),
        ("import threading; threading.Thread(target=lambda: 1 / 0).start()", 0),
        (HOOKED, 1),
        ("import atexit; atexit.register(lambda: 1 / 0)", 0),
        ("import torch, torch, sys; print(sys.excepthook is sys.__excepthook__)", 0),
        ("import signal; print([signal.getsignal(n) for n in range(1, 30)])", 0),
        ("import torch, threading; print(threading.active_count(), threading.enumerate())", 0),
    ],
)
def test_a_process_ends_as_it_would_without(script: str, code: int) -> None:
    # Object addresses in messages differ from run to run.
    without, with_probe = both("-c", script, env=RANK)
    assert with_probe.code == without.code == code
    assert _plain(with_probe.stdout) == _plain(without.stdout)
    assert _plain(with_probe.stderr) == _plain(without.stderr)


def _plain(text: str) -> str:
    return re.sub(r"0x[0-9a-f]+|\d{9,}", "(address)", text)


@pytest.mark.parametrize("script", ["raise ValueError('boom')", HOOKED, f"import torch{HOOKED}"])
def test_an_exception_is_told_whatever_hook_prints_it(script: str) -> None:
    outcome = run("-c", script, env=RANK)
    (failed,) = outcome.channel.of("rank_failed")
    assert failed["error_type"] == "ValueError"
    assert failed["reason"] == "boom"
    assert failed["traceback"].startswith('File "<string>", line ')
    assert outcome.channel.of("process_ended") == []


def test_the_main_thread_s_exception_is_told_before_other_threads_are_waited_for() -> None:
    script = """
import sys, threading, torch
threading.Thread(target=sys.stdin.read).start()
raise ValueError("boom")
"""
    with running("-c", script, env=RANK) as program:
        program.channel.wait_for(b'"rank_failed"')
        assert program.process.poll() is None


def test_a_thread_s_exception_names_the_thread_and_is_not_the_end() -> None:
    script = """
import threading, torch
thread = threading.Thread(target=lambda: 1 / 0, name="loader")
thread.start()
thread.join()
"""
    outcome = run("-c", script, env=RANK)
    failed, ended = outcome.channel.of("rank_failed", "process_ended")
    assert (failed["thread"], failed["error_type"]) == ("loader", "ZeroDivisionError")
    assert ended == {"event": "process_ended", "rank": 1}


def test_an_exception_of_a_spawned_child_is_told_as_what_it_was() -> None:
    script = """
class ProcessRaisedException(Exception): pass
raise ProcessRaisedException("-- Process 1 terminated:\\nTraceback\\n\\nKeyError: 'lr'\\n")
"""
    (failed,) = run("-c", script, env=RANK).channel.of("rank_failed")
    assert (failed["error_type"], failed["reason"]) == ("KeyError", "'lr'")


@pytest.mark.parametrize(
    "script",
    [
        "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import torch; 1 / 0'])",
        "import os, sys\nif os.fork() == 0: sys.exit(5)\nos.wait()",
        "from multiprocessing import *; p = Process(target=print); p.start(); p.join()",
        "import torch, os, sys\nif os.fork() == 0: raise ValueError\nos.wait()",
    ],
)
def test_what_merely_helps_a_rank_stays_silent(script: str) -> None:
    without, with_probe = both("-c", script, env=RANK)
    events = [each.event for each in with_probe.channel.records if each.event != "torch_imported"]
    assert with_probe.seen == without.seen
    assert events == ["interpreter_started", "process_ended"]


def test_a_child_that_joins_a_group_speaks_up_as_its_rank() -> None:
    script = """
import os, torch.distributed as dist
if os.fork() == 0:
    dist.init_process_group(rank=7, world_size=8)
    os._exit(0)
os.wait()
"""
    told = run("-c", script, env=RANK).channel
    events = [(each.event, each.rank) for each in told.records if each.event != "environment"]
    assert events == [
        ("interpreter_started", 1),
        ("torch_imported", 1),
        ("interpreter_started", 7),
        ("torch_imported", 7),
        ("rendezvous_started", 7),
        ("store_joined", 7),
        ("probe_fault", 7),
        ("process_ended", 1),
    ]


def test_ranks_that_a_launcher_starts_speak_for_themselves() -> None:
    script = """
import os, subprocess, sys
for rank in ("0", "1"):
    env = {**os.environ, "RANK": rank, "LOCAL_RANK": rank, "TORCHELASTIC_RUN_ID": "x"}
    subprocess.run([sys.executable, "-c", "pass"], env=env)
"""
    told = run("-c", script, env={"RANK": "0", "LOCAL_RANK": "0"}).channel
    assert [each.rank for each in told.records] == [0, 0, 0, 1, 1, 0]
