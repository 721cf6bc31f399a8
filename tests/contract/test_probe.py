"""The probe in the nodes: every engine places it, as it is asked to, and off means off."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from orchestrator.engines.probe_files import SITE
from orchestrator.plans.difference import FieldChange
from orchestrator.state.desired import DesiredState
from orchestrator.state.observed import NodeStatus
from orchestrator.state.spec import sorted_env

from .stand import FOREVER, Stand, read_log

CHANNEL = '"$ORCHESTRATE_PROBE_CHANNEL"'
TELLS_PATH = 'echo "path ${PYTHONPATH-none} channel ${ORCHESTRATE_PROBE_CHANNEL-none}"'
SHOWS = f'{TELLS_PATH}; cat "${{PYTHONPATH%%:*}}/sitecustomize.py"'
REDIRECTED = f"exec >/dev/null 2>&1; echo lost; echo told > {CHANNEL}; sleep 0; exit 3"


def gang(stand: Stand, script: str, *, path: str | None = None, probe: bool = True) -> DesiredState:
    """A node that runs a script, with a PYTHONPATH of its own if one is given."""
    desired = stand.gang(stand.project(), script)
    own = {} if path is None else {"PYTHONPATH": path}
    nodes = tuple(
        replace(node, probe=probe, env=sorted_env(dict(node.env), own)) for node in desired.nodes
    )
    return replace(desired, nodes=nodes)


def said(stand: Stand, desired: DesiredState) -> list[bytes]:
    stand.apply(desired)
    nodes = stand.wait_for(desired.project, NodeStatus.EXITED)
    return [item.text for item in read_log(stand.engine, nodes) if hasattr(item, "text")]


def test_a_node_finds_the_probe_first_and_its_own_path_after_it(stand: Stand) -> None:
    lines = said(stand, gang(stand, SHOWS, path="/own:/path"))
    _, path, _, channel = lines[0].decode().split()
    assert path.partition(":")[2] == "/own:/path"
    assert channel.startswith("/proc/")
    assert b"\n".join(lines[1:]) == (SITE / "sitecustomize.py").read_bytes().rstrip(b"\n")


def test_off_means_off(stand: Stand) -> None:
    lines = said(stand, gang(stand, TELLS_PATH, probe=False, path="/own"))
    assert lines == [b"path /own channel none"]


def test_what_goes_over_the_channel_is_logged_whatever_is_redirected(stand: Stand) -> None:
    assert said(stand, gang(stand, REDIRECTED)) == [b"told"]


def test_a_node_that_closes_its_output_ends_as_before(stand: Stand) -> None:
    desired = gang(stand, "exec >&- 2>&-; exit 4")
    assert said(stand, desired) == []
    assert [node.exit_code for node in stand.engine.observe_nodes(desired.project)] == [4]


@pytest.mark.parametrize("path", [None, "", "/own", "/opt/orchestrate/probe"])
def test_the_probe_is_no_difference_and_switching_it_is_named(
    path: str | None, stand: Stand
) -> None:
    desired = gang(stand, FOREVER, path=path)
    stand.apply(desired)
    assert stand.plan(desired) == stand.kept(desired, "running")
    nodes = tuple(replace(node, probe=False) for node in desired.nodes)
    plan = stand.plan(replace(desired, nodes=nodes))
    assert plan.remove_nodes[0].changes[0] == FieldChange("probe", "on", "off")
