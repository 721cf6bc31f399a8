"""What nodes are given and nobody else sees: secrets, and variables from files."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from orchestrator.state.desired import DesiredState
from orchestrator.state.labels import ENV_SECRETS_DIR
from orchestrator.state.observed import NodeStatus
from orchestrator.state.spec import NodeSpec, Secret

from .stand import FOREVER, Stand, read_log

CANARIES = (b"canary-5711", b"canary-5712\nof two lines\n", b"canary 5713 = $HOME # '\"")


def given(stand: Stand, project: str, script: str) -> DesiredState:
    """A gang of two whose nodes have a secret of each kind and a hidden variable."""
    secrets = tuple(Secret(f"s{index}", value) for index, value in enumerate(CANARIES[:2]))
    desired = stand.gang(project, script, script)
    return replace(desired, nodes=tuple(_given(stand, node, secrets) for node in desired.nodes))


def _given(stand: Stand, node: NodeSpec, secrets: tuple[Secret, ...]) -> NodeSpec:
    env = dict(node.env) | {"HIDDEN": CANARIES[2].decode()}
    if stand.engine.traits.is_isolated:
        env[ENV_SECRETS_DIR] = "/run/secrets"
    hidden = ("HIDDEN",)
    return replace(node, env=tuple(sorted(env.items())), hidden_env=hidden, secrets=secrets)


def held(folder: Path) -> list[Path]:
    """The files below a folder that hold one of the secrets, but for what nodes have written."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".log"]
    return [path for path in files if any(value in path.read_bytes() for value in CANARIES[:2])]


def test_nodes_get_them_byte_for_byte_and_then_they_are_gone(stand: Stand) -> None:
    script = f'printf %s "$HIDDEN"; cat ${ENV_SECRETS_DIR}/s0 ${ENV_SECRETS_DIR}/s1'
    desired = given(stand, stand.project(), script)
    stand.apply(desired)
    nodes = stand.wait_for(desired.project, NodeStatus.EXITED)
    lines = [getattr(each, "text", None) for each in read_log(stand.engine, nodes[1:])]
    assert lines == [*(CANARIES[2] + CANARIES[0] + CANARIES[1]).splitlines(), None]
    assert len(held(stand.folder)) == (2 if stand.engine.traits.is_isolated else 4)
    stand.destroy(desired.project)
    assert held(stand.folder) == []


def test_the_same_values_are_no_change_and_others_are(stand: Stand) -> None:
    desired = given(stand, stand.project(), FOREVER)
    stand.apply(desired)
    assert stand.plan(desired) == stand.kept(desired, "running")
    assert [node.spec.secrets for node in stand.observe(desired).nodes] == [
        node.secrets for node in desired.nodes
    ]
    other = tuple(
        replace(node, secrets=(node.secrets[0], Secret("s1", b"canary-other")))
        for node in desired.nodes
    )
    changed = replace(desired, nodes=other)
    assert [str(each).partition("  ")[2] for each in stand.plan(changed).start_nodes] == [
        "(secrets.s1: (changed))"
    ] * 2
    stand.apply(changed, "r2")
    assert stand.plan(changed) == stand.kept(changed, "running")
    assert {path.name for path in held(stand.folder)} == {"s0"}


def test_a_secret_that_was_taken_away_by_hand_is_missed(stand: Stand) -> None:
    desired = given(stand, stand.project(), FOREVER)
    stand.apply(desired)
    for path in held(stand.folder):
        path.unlink()
    causes = [str(each) for each in stand.plan(desired).start_nodes]
    assert ["secrets.s0: (changed); secrets.s1: (changed)" in cause for cause in causes] == [
        True,
        True,
    ]


@pytest.mark.parametrize("name", ["../escape", "a/b", ""])
def test_a_name_cannot_lead_out_of_the_folder(stand: Stand, name: str) -> None:
    from orchestrator.engines import secret_files

    folder = stand.folder / "inner"
    folder.mkdir()
    (stand.folder / "escape").write_bytes(b"not yours")
    assert secret_files.found(folder, [name]) == (Secret(name),)
