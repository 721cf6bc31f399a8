"""A process that makes no progress says where it is."""

from __future__ import annotations

import signal

import pytest

from orchestrator.records import Stacks
from tests.unit.probe.stand import both, run, running

ALONE = {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}
HANG = {**ALONE, "ORCHESTRATE_PROBE_HANG_S": "3"}  # seconds, for a machine that is busy
STALLED = """
import threading, torch, torch.distributed as dist
from torch.optim import Optimizer
dist.init_process_group()
optimizer = Optimizer()
for _ in range(5): optimizer.step()
waiting = threading.Event()
other = threading.Thread(target=waiting.wait, name="other", daemon=True)
other.start()
def train(): dist.all_reduce()
train()
optimizer.step()
dist.all_reduce()
"""


def test_a_stall_is_told_once_with_the_collective_and_all_threads() -> None:
    with running("-c", STALLED, env=HANG) as program:
        program.channel.wait_for(b'"stacks"')
        program.process.communicate(timeout=60)
    stalls = [each for each in program.channel.records if isinstance(each, Stacks)]
    main, other = stalls[0].threads["MainThread"], stalls[0].threads["other"]
    assert (len(stalls), stalls[0].call, stalls[0].last_step) == (1, "all_reduce", 5)
    assert [line.rpartition("/")[2].partition(":")[0] for line in main] == [
        "distributed_c10d.py",
        "<string>",
        "<string>",
    ]
    assert [line.rpartition(" ")[2] for line in main] == ["all_reduce", "train", "<module>"]
    assert other[0].endswith(" wait")
    assert stalls[0].waited_s >= 2.4
    assert program.channel.of("step")[-1]["step"] == 6


def test_steps_are_told_before_the_stall_that_follows_them() -> None:
    with running("-c", STALLED, env=HANG) as program:
        program.channel.wait_for(b'"stacks"')
    events = [each["event"] for each in program.channel.of("step", "stacks")]
    assert events == ["step", "step", "stacks"]


def test_a_process_that_does_not_join_in_time_says_where_it_is() -> None:
    script = "def load(): import sys, torch; sys.stdin.read()\nload()"
    with running("-c", script, env={**ALONE, "ORCHESTRATE_PROBE_JOIN_S": "0.5"}) as program:
        program.channel.wait_for(b'"stacks"')
        program.process.communicate(timeout=60)
    (told,) = program.channel.of("stacks")
    # The deadline counts from the start of the node, which is that of this test's process.
    assert told["threads"]["MainThread"][-2:] == ("<string>:1 load", "<string>:2 <module>")
    assert "call" not in told


@pytest.mark.parametrize("text", ["", "0", "-3", "nan", "inf", "x"])
def test_no_deadline_no_stacks(text: str) -> None:
    env = {**ALONE, "ORCHESTRATE_PROBE_HANG_S": text, "ORCHESTRATE_PROBE_JOIN_S": text}
    outcome = run("-c", "import time, torch; time.sleep(0.2)", env=env)
    assert outcome.channel.of("stacks", "probe_fault") == []


def test_an_interpreter_that_does_not_get_to_run_is_told_by_its_timer() -> None:
    # PyDLL keeps the interpreter's lock while it is in C, as a library with a fault may.
    script = "import ctypes, torch, torch.distributed as dist\ndist.init_process_group()\n"
    script += "def stuck(): ctypes.PyDLL(None).sleep(9)\nstuck()"
    outcome = run("-c", script, env=HANG)
    text = outcome.channel.text.decode()
    assert outcome.seen == (0, "", "")
    assert "Timeout (0:00:0" in text
    assert 'File "<string>", line 3 in stuck' in text


def test_stacks_can_be_had_by_a_signal_that_would_have_ended_the_process() -> None:
    script = """
import sys
def look_here():
    print("up", flush=True)
    sys.stdin.read()
look_here()
"""
    with running("-c", script) as program:
        assert program.process.stdout is not None
        assert program.process.stdout.readline() == "up\n"
        program.signal(signal.SIGUSR2)
        program.channel.wait_for(b"in look_here")
        program.process.communicate(timeout=60)
    assert program.process.returncode == 0


def test_a_script_s_own_handler_of_that_signal_is_in_effect() -> None:
    script = """
import os, signal
signal.signal(signal.SIGUSR2, lambda *_: print("mine"))
os.kill(os.getpid(), signal.SIGUSR2)
"""
    without, with_probe = both("-c", script)
    assert with_probe.seen == without.seen == (0, "mine\n", "")


def test_a_script_s_own_faulthandler_timer_is_left_to_it() -> None:
    script = """
import faulthandler, sys, time, torch
faulthandler.dump_traceback_later(1.0, file=sys.__stdout__, exit=True)
time.sleep(60)
"""
    without, with_probe = both("-c", script, env={**HANG, "ORCHESTRATE_PROBE_JOIN_S": "0.4"})
    assert with_probe.code == without.code == 1
    assert 'File "<string>", line 4 in <module>' in with_probe.stdout


def test_forks_are_as_quick_and_as_silent_as_ever() -> None:
    script = """
import os, torch, warnings
warnings.simplefilter("error")
for _ in range(50):
    if os.fork() == 0:
        os._exit(len(os.listdir("/proc/self/task")) - 1)
    assert os.wait()[1] == 0
print("done")
"""
    without, with_probe = both("-c", script, env=HANG)
    assert with_probe.seen == without.seen == (0, "done\n", "")
    assert with_probe.channel.of("probe_fault") == []


AFTER_A_FORK = """
import gc, os, sys, time, torch, torch.distributed as dist
from torch.optim import Optimizer
from orchestrate_probe import stalls
stalls.FORK_WARNS = True  # whatever this Python does
def threads(): return len(os.listdir("/proc/self/task"))
dist.init_process_group()
optimizer = Optimizer()
optimizer.step()
if os.fork() == 0: os._exit(0)
os.wait()
while threads() > 1: time.sleep(0.01)  # that of the join takes its time to go
print(threads(), end=" ")
exec(sys.argv[1])
print(threads() > 1)
dist.all_reduce()
"""


@pytest.mark.parametrize("moment", ["gc.collect()", "time.sleep(0.2); optimizer.step()"])
def test_where_forks_warn_of_threads_the_watch_comes_back_later(moment: str) -> None:
    with running("-c", AFTER_A_FORK, moment, env=HANG) as program:
        program.channel.wait_for(b'"stacks"')
        out, _ = program.process.communicate(timeout=60)
    assert out == "1 True\n"
