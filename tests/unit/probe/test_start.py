"""What the probe does, and leaves undone, as a Python interpreter starts."""

from __future__ import annotations

import ast
import json
import platform
import sys
from pathlib import Path

import pytest

from orchestrator import identity
from tests.unit.probe.stand import SITE, both, run

SOURCES = sorted(SITE.rglob("*.py"))
# Built in, or in every interpreter by the time the probe starts, or of no use to a script as a
# name of its own.
AT_THE_START = {"__future__", "_json", "atexit", "errno", "faulthandler", "fcntl"}


def test_an_interpreter_says_that_it_started_and_that_it_ended() -> None:
    outcome = run("-c", "print('hello')", env={"RANK": "3"})
    assert (outcome.seen, outcome.channel.of()) == (
        (0, "hello\n", ""),
        [
            {
                "event": "interpreter_started",
                "rank": 3,
                "python": platform.python_version(),
                "hostname": platform.node(),
                "argv": ("-c", "print('hello')"),
            },
            {"event": "process_ended", "rank": 3},
        ],
    )


def test_outside_of_a_node_nothing_is_said() -> None:
    outcome = run("-c", "print('hello')", env={identity.ENV_RUN_ID: ""})
    assert (outcome.seen, outcome.channel.text) == ((0, "hello\n", ""), b"")


@pytest.mark.parametrize(
    "content",
    [
        None,
        "import sys; print('mine', __name__, __file__, __spec__.name, sys.path[:1])",
        "raise ValueError('not today')",
        "import sys; sys.path.append('/added')",
        "import atexit; atexit.register(print, 'at the end')",
    ],
)
def test_the_sitecustomize_that_was_there_runs_as_ever(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "sitecustomize.py").write_text(content)
    show = """
import sys
module = sys.modules.get("sitecustomize")
print([each for each in sys.path if not each.endswith("/probe/site")])
print(module and (module.__name__, module.__file__, module.__spec__.loader.__class__))
"""
    without, with_probe = both("-c", show, path=[tmp_path])
    assert with_probe.seen == without.seen
    assert len(with_probe.channel.records) == 2


def test_a_script_does_not_find_the_probe_on_its_path() -> None:
    without, with_probe = both("-c", "import sys; print(sys.path, sys.argv, sys.meta_path[1:])")
    # The one thing to be seen: a finder in front, until torch and what else it waits for came.
    assert with_probe.seen[1].rpartition("], [")[0] == without.seen[1].rpartition("], [")[0]


def test_hardly_a_module_is_loaded_before_the_script_asks_for_it() -> None:
    show = "import sys; names = sorted(sys.modules); import json; print(json.dumps(names))"
    without, with_probe = both("-c", show)
    more = set(json.loads(with_probe.stdout)) - set(json.loads(without.stdout))
    assert {each for each in more if not each.startswith("orchestrate_probe")} <= AT_THE_START


def test_a_script_may_have_modules_named_like_those_of_the_standard_library(
    tmp_path: Path,
) -> None:
    for name in ("json", "socket", "signal", "traceback", "hashlib", "inspect", "struct"):
        (tmp_path / f"{name}.py").write_text(f"print('my own {name}')")
    (tmp_path / "main.py").write_text("import json, socket, traceback, hashlib, struct")
    without, with_probe = both(str(tmp_path / "main.py"))
    assert with_probe.seen == without.seen
    assert without.seen[0] == 0


@pytest.mark.parametrize(
    "flags", [["-W", "error"], ["-O"], ["-OO"], ["-u"], ["-X", "dev"], ["-B"], ["-q"], ["-s"]]
)
def test_flags_of_the_interpreter_make_no_difference(flags: list[str]) -> None:
    script = """
import sys, torch
torch.distributed.init_process_group(world_size=1, rank=0)
print(sys.flags)
"""
    without, with_probe = both(*flags, "-c", script)
    assert with_probe.seen == without.seen
    assert with_probe.channel.of("process_group_joined", "probe_fault")[0]["rank_sum"] == 0


@pytest.mark.parametrize("flag", ["-I", "-S", "-E"])
def test_an_interpreter_that_is_told_to_look_at_nothing_has_no_probe(flag: str) -> None:
    outcome = run(flag, "-c", "print(1)")
    assert (outcome.seen, outcome.channel.text) == ((0, "1\n", ""), b"")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_it_is_written_in_the_python_of_many_years(path: Path) -> None:
    # sitecustomize.py is read by whatever Python a node has, the rest from 3.8 on.
    version = (3, 4) if path.name == "sitecustomize.py" else (3, 8)
    ast.parse(path.read_text(), feature_version=version)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_it_needs_the_standard_library_alone(path: Path) -> None:
    own = {"orchestrate_probe", "sitecustomize"}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            assert {each.name.split(".")[0] for each in node.names} <= sys.stdlib_module_names | own
        elif isinstance(node, ast.ImportFrom) and not node.level:
            assert (node.module or "").split(".")[0] in sys.stdlib_module_names


def test_its_orders_have_the_names_that_nodes_are_told() -> None:
    text = "".join(path.read_text() for path in SOURCES)
    names = {
        identity.ENV_RUN_ID,
        identity.ENV_PROBE_CHANNEL,
        identity.ENV_PROBE_JOIN_S,
        identity.ENV_PROBE_HANG_S,
        identity.ENV_PROBE_CHECKSUM,
    }
    assert {name for name in names if f'"{name}"' in text} == names
