"""A node outlives the orchestrator, and never its supervisor."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.engines.local import liveness, supervisor
from orchestrator.engines.local.engine import LocalEngine
from orchestrator.engines.local.observe import SUPERVISOR_KILLED
from orchestrator.loglines import LogEnd, LogLine
from orchestrator.state.observed import NodeStatus
from tests.waiting import wait_until

from .local_node import (
    folder_of,
    is_running,
    kill,
    main_pid,
    node_spec,
    start,
    states,
    supervisor_pid,
    wait_for_end,
)

LEAVES_ONE_BEHIND = "setsid sleep 1000 & echo $! > left; "


def left_behind(tmp_path: Path) -> int:
    wait_until(lambda: (tmp_path / "left").exists() and (tmp_path / "left").read_text() != "")
    return int((tmp_path / "left").read_text())


@pytest.mark.parametrize("number", ["SIGINT", "SIGHUP", "SIGKILL"])
def test_a_node_outlives_the_session_that_started_it(
    engine: LocalEngine, root: Path, tmp_path: Path, number: str
) -> None:
    code = f"""
import os, signal, sys
sys.path.insert(0, {os.path.dirname(__file__)!r})
from pathlib import Path
from local_node import node_spec, start
from orchestrator.engines.local.engine import LocalEngine
from tests.waiting import wait_until
for each in (signal.SIGINT, signal.SIGHUP):
    signal.signal(each, signal.SIG_DFL)  # `nohup` and `&` leave them ignored
start(LocalEngine(Path({str(root)!r})), node_spec(Path({str(tmp_path)!r})))
os.killpg(0, signal.{number})
"""
    # A group of its own that is ended as a whole, as a terminal would.
    started = subprocess.run(
        [sys.executable, "-c", code],
        start_new_session=True,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )

    assert started.returncode == -signal.Signals[number]
    assert states(engine) == [(NodeStatus.RUNNING, None, "")]
    assert os.getsid(main_pid(root)) == main_pid(root)
    assert os.getsid(supervisor_pid(root)) == supervisor_pid(root)


def test_a_killed_supervisor_takes_its_node_with_it(
    engine: LocalEngine, root: Path, tmp_path: Path
) -> None:
    (node,) = start(engine, node_spec(tmp_path, script=LEAVES_ONE_BEHIND + "sleep 1000"))
    left, main = left_behind(tmp_path), main_pid(root)

    kill(supervisor_pid(root))

    wait_until(lambda: states(engine) == [(NodeStatus.EXITED, 137, SUPERVISOR_KILLED)])
    wait_until(lambda: not is_running(main))
    engine.remove_nodes([node])
    assert not is_running(left)
    assert not root.joinpath("lab").exists()


def test_what_a_node_leaves_behind_ends_with_it(
    engine: LocalEngine, root: Path, tmp_path: Path
) -> None:
    start(engine, node_spec(tmp_path, script=LEAVES_ONE_BEHIND + "sleep 0.1; exit 3"))
    left = left_behind(tmp_path)

    wait_for_end(engine)

    assert states(engine) == [(NodeStatus.EXITED, 3, "")]
    assert not is_running(left)


def test_a_supervisor_that_hangs_is_killed(
    engine: LocalEngine, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(liveness, "_KILL_DEADLINE_S", 1.0)
    nodes = start(engine, node_spec(tmp_path))
    supervisor, main = supervisor_pid(root), main_pid(root)
    os.kill(supervisor, signal.SIGSTOP)

    engine.stop_nodes(nodes, grace_s=0.1)

    assert states(engine) == [(NodeStatus.EXITED, 137, SUPERVISOR_KILLED)]
    wait_until(lambda: not is_running(main))
    assert not is_running(supervisor)


def test_a_process_id_alone_is_never_believed(
    engine: LocalEngine, root: Path, tmp_path: Path
) -> None:
    nodes = start(engine, node_spec(tmp_path))
    engine.stop_nodes(nodes, grace_s=5)
    with subprocess.Popen(["sleep", "1000"], start_new_session=True) as stranger:
        record = folder_of(root) / "process.json"
        record.write_text(f'{{"pid": {stranger.pid}, "start_ticks": 1, "started_at_s": 1.0}}')
        (folder_of(root) / "lock").write_text(f"{stranger.pid}\n")
        (folder_of(root) / "exit.json").unlink()

        engine.stop_nodes(nodes, grace_s=0.1)
        engine.remove_nodes(nodes)

        assert is_running(stranger.pid)
        stranger.kill()


def test_a_node_that_closes_its_output_runs_on(
    engine: LocalEngine, root: Path, tmp_path: Path
) -> None:
    spec = node_spec(tmp_path, script="echo bye; exec >&- 2>&-; sleep 0.3; exit 4")
    (node,) = start(engine, spec)
    wait_for_end(engine)
    found: list[LogLine | LogEnd] = []
    engine.read_logs([node], found.append)

    assert states(engine) == [(NodeStatus.EXITED, 4, "")]
    assert [each.text for each in found if isinstance(each, LogLine)] == [b"bye"]


def test_a_full_disk_cuts_the_log_and_says_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(supervisor.INDEX_FILE).symlink_to("/dev/full")
    recorder = supervisor._Recorder()

    for chunk in (b"kept", b"lost"):
        recorder.append(chunk)

    assert recorder.complaint == "log cut off at byte 4: No space left on device"
    assert Path(supervisor.LOG_FILE).read_bytes() == b"kept"


def test_signals_that_the_orchestrator_ignores_reach_the_node(
    engine: LocalEngine, tmp_path: Path
) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        start(engine, node_spec(tmp_path, script="kill -INT $$; sleep 5; echo deaf"))
    finally:
        signal.signal(signal.SIGINT, before)
    wait_for_end(engine)

    assert states(engine) == [(NodeStatus.EXITED, 130, "")]
