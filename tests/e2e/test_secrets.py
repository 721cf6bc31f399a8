"""Secrets and files of variables on every engine: they arrive, and are seen nowhere else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import Desk, docker
from tests.e2e.test_lifecycle import node
from tests.e2e.test_nodes import said
from tests.waiting import wait_until

CANARY = "canary-5711-x9"
FILE_CANARY = "canary-5712-x9"
ENV_CANARY = "canary-5713-x9"
CANARIES = (CANARY, FILE_CANARY, ENV_CANARY)

READ = (
    "cd $ORCHESTRATE_SECRETS_DIR; for name in *; do echo $name $(wc -c <$name) bytes; done;"
    " echo $(echo $FROM_FILE | wc -c) characters; cat hf_token; echo"
)
MORE = (
    ", env_file: [common.env], secrets: [{name: hf_token, env: E2E_TOKEN},"
    " {name: wandb, file: ./key}]"
)


@pytest.fixture
def secret_desk(desk: Desk) -> Desk:
    """A desk with a file of variables, a secret in a file, and one in a variable."""
    (desk.folder / "common.env").write_text(f"# from a file\nFROM_FILE={ENV_CANARY}\n")
    (desk.folder / "key").write_text(f"{FILE_CANARY}\n")
    desk.env["E2E_TOKEN"] = CANARY
    return desk


def write(desk: Desk, script: str, more: str = MORE, **sections: str) -> None:
    desk.write(script, **({"ranks": desk.ranks(script, more)} | sections))


def kept(desk: Desk) -> list[Path]:
    """Every file of this program's own that holds one of the values."""
    roots = (Path(os.environ["XDG_STATE_HOME"]), Path(os.environ["ORCHESTRATE_LOCAL_ROOT"]))
    files = (path for root in roots for path in root.rglob("*") if path.is_file())
    return [path for path in files if _holds(path)]


def _holds(path: Path) -> bool:
    try:
        return any(canary.encode() in path.read_bytes() for canary in CANARIES)
    except OSError:
        return False


def test_values_arrive_and_are_hidden_on_the_screen(secret_desk: Desk) -> None:
    write(secret_desk, READ)
    assert said(secret_desk, 1) == ["hf_token 14 bytes", "wandb 15 bytes", "15 characters", "***"]
    logs = secret_desk.run("logs", "--engine", secret_desk.engine, secret_desk.project)
    assert (CANARY in logs.out + logs.err, logs.out.count("***")) == (False, 2)
    again = secret_desk.apply()
    assert (again.code, "changed=0" in again.line("RECAP")) == (0, True)
    assert secret_desk.destroy().code == 0
    # What a node wrote is kept as it was: the documentation says so.
    logs_kept = list((secret_desk.folder / ".orchestrate").rglob("*.log"))
    assert [CANARY in path.read_text() for path in logs_kept] == [True, True]
    assert kept(secret_desk) == []


def test_no_value_is_seen_from_outside(secret_desk: Desk) -> None:
    write(secret_desk, "echo ready; sleep 60", health_checks="health_checks: []")
    seen: set[str] = set()
    stop = threading.Event()
    watcher = threading.Thread(target=_watch_arguments, args=(seen, stop))
    watcher.start()
    try:
        applied = secret_desk.apply("--json")
    finally:
        stop.set()
        watcher.join()
    assert applied.code == 0, applied.err
    assert any("playbook.yaml" in words for words in seen), "the watcher saw nothing"
    told = [applied.out, applied.err, *seen]
    for verb in ("plan", "verify", "validate"):
        engine = () if verb == "validate" else ("--engine", secret_desk.engine)
        ran = secret_desk.run(verb, *engine, "playbook.yaml")
        told += [ran.out, ran.err]
    told.append(secret_desk.run("status", "--json", "--engine", secret_desk.engine).out)
    if secret_desk.engine == "docker":
        inspected = json.loads(docker("inspect", node(secret_desk, 0)))[0]
        # Its variables are what docker shows: for what must not be seen there are secrets.
        env = inspected["Config"].pop("Env")
        assert f"FROM_FILE={ENV_CANARY}" in env
        told += [json.dumps(inspected), *(item for item in env if "FROM_FILE" not in item)]
    files = (path for path in (secret_desk.folder / ".orchestrate").rglob("*") if path.is_file())
    told += [path.read_text() for path in files]
    assert [text for text in told if any(canary in text for canary in CANARIES)] == []
    assert secret_desk.destroy().code == 0
    assert kept(secret_desk) == []


def _watch_arguments(seen: set[str], stop: threading.Event) -> None:
    """Collect the arguments of every process, as `ps` shows them, as often as possible."""
    while not stop.is_set():
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                seen.add(path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"))
            except OSError:
                continue


def test_a_changed_value_is_drift_without_a_value(secret_desk: Desk) -> None:
    write(secret_desk, "sleep 60", health_checks="health_checks: []")
    assert secret_desk.apply().code == 0
    secret_desk.env["E2E_TOKEN"] = "canary-5714-x9"
    (secret_desk.folder / "common.env").write_text("FROM_FILE=canary-5715-x9\n")
    planned = secret_desk.run("plan", "--engine", secret_desk.engine, "playbook.yaml")
    assert "secrets.hf_token: (changed)" in planned.out
    assert "env.FROM_FILE: (changed)" in planned.out
    assert ("wandb" in planned.out, "canary" in planned.out + planned.err) == (False, False)
    applied = secret_desk.apply()
    assert (applied.code, "changed=2" in applied.line("RECAP")) == (0, True), applied.out
    assert secret_desk.apply().line("RECAP").count("changed=0") == 1
    write(secret_desk, "sleep 60", "", health_checks="health_checks: []")
    assert secret_desk.apply().code == 0
    assert kept(secret_desk) == []


def test_a_missing_source_is_a_fault_before_anything_is_there(secret_desk: Desk) -> None:
    write(secret_desk, "true")
    del secret_desk.env["E2E_TOKEN"]
    (secret_desk.folder / "key").unlink()
    refused = secret_desk.apply()
    assert refused.code == 3
    assert "the variable E2E_TOKEN is not set" in refused.err
    assert "'./key': no such file or directory" in refused.err
    status = secret_desk.run("status", "--json", "--engine", secret_desk.engine)
    assert secret_desk.project not in status.out


def test_nothing_is_left_of_an_apply_that_was_killed(secret_desk: Desk) -> None:
    write(secret_desk, "sleep 60", health_checks="health_checks: [{completed: {within: 50s}}]")
    child = secret_desk.start("apply", "--engine", secret_desk.engine, "playbook.yaml")
    wait_until(lambda: bool(kept(secret_desk)), within_s=30)
    child.kill()
    child.communicate()
    assert secret_desk.destroy("--grace", "0").code == 0
    assert kept(secret_desk) == []


def test_a_restarted_gang_finds_its_secrets(secret_desk: Desk) -> None:
    script = (
        "[ $ORCHESTRATE_RESTART_COUNT = 1 ] || exit 3; wc -c <$ORCHESTRATE_SECRETS_DIR/hf_token"
    )
    write(secret_desk, script, restarts="restarts: {max: 1}")
    assert said(secret_desk)[-1] == "14"
    assert secret_desk.destroy().code == 0
    assert kept(secret_desk) == []


@pytest.mark.docker
def test_a_node_of_any_user_reads_its_secrets_and_nobody_writes_them(docker_desk: Desk) -> None:
    docker_desk.env["E2E_TOKEN"] = CANARY
    script = "id -u; wc -c </run/secrets/hf_token; echo x 2>/dev/null >/run/secrets/x || echo kept"
    more = ", user: '4321:4321', secrets: [{name: hf_token, env: E2E_TOKEN}]"
    docker_desk.write(script, ranks=docker_desk.ranks(script, more))
    assert said(docker_desk)[:2] == ["4321", "14"]
    private = Path(os.environ["XDG_STATE_HOME"]) / "orchestrate/private"
    assert (private.stat().st_mode & 0o777, private.stat().st_uid) == (0o700, os.getuid())


def test_the_local_engine_hands_no_variable_on_that_holds_a_secret(
    make_desk: Callable[[str], Desk],
) -> None:
    desk = make_desk("local")
    desk.env |= {"E2E_TOKEN": CANARY, "SAME_VALUE": CANARY, "HARMLESS": "kept"}
    script = "env | grep -c canary; echo $HARMLESS; cat $ORCHESTRATE_SECRETS_DIR/hf_token | wc -c"
    more = ", secrets: [{name: hf_token, env: E2E_TOKEN}]"
    desk.write(script, ranks=desk.ranks(script, more))
    assert said(desk) == ["0", "kept", "14"]


def test_a_bug_report_holds_no_value(secret_desk: Desk, tmp_path: Path) -> None:
    write(secret_desk, "true")
    program = (
        "import sys\n"
        "from orchestrator import cli, deciding, run\n"
        "def broken(request, *rest, **more):\n"
        "    value = deciding.desired_state(request).nodes[0].secrets[0].value\n"
        "    raise RuntimeError(f'it was {value!r}: {value.decode()}')\n"
        "run.decide = broken\n"
        f"sys.exit(cli.run(['plan', '--engine', {secret_desk.engine!r}, 'playbook.yaml']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=secret_desk.folder,
        env=os.environ | secret_desk.env | {"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 70, done.stdout + done.stderr
    report = next(tmp_path.glob("orchestrate-bug-*.txt")).read_text()
    assert ("RuntimeError: it was" in report, "canary" in report) == (True, False)
    assert "canary" not in done.stdout + done.stderr
