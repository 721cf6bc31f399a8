"""What a plan says of values that are not to be seen."""

from __future__ import annotations

from msgspec.structs import replace

from orchestrator.plans.difference import FieldChange, field_changes
from orchestrator.state.spec import NodeSpec, Secret

NODE = NodeSpec(node_rank=0, num_ranks=1, name="pair-node-0", command=("true",))


def test_a_hidden_variable_is_said_to_have_changed() -> None:
    found = replace(NODE, env=(("A", "canary-1"), ("B", "1")), hidden_env=("A",))
    wanted = replace(NODE, env=(("A", "canary-2"), ("B", "2")), hidden_env=("A",))
    changes = field_changes(found, wanted)
    assert [str(change) for change in changes] == ["env.A: (changed)", "env.B: 1 -> 2"]
    assert "canary" not in repr(changes)


def test_a_hidden_variable_comes_goes_and_moves_without_its_value() -> None:
    bare, hidden = NODE, replace(NODE, env=(("A", "canary"),), hidden_env=("A",))
    shown = replace(NODE, env=(("A", "plain"),))
    assert [[str(change) for change in field_changes(*pair)] for pair in (
        (bare, hidden), (hidden, bare), (hidden, shown), (shown, hidden),
    )] == [
        ["env_file: (none) -> A", "env.A: (none) -> ***"],
        ["env_file: A -> (none)", "env.A: *** -> (none)"],
        ["env.A: (changed)", "env_file: A -> (none)"],
        ["env_file: (none) -> A", "env.A: (changed)"],
    ]  # fmt: skip


def secret(value: bytes | None) -> NodeSpec:
    return replace(NODE, secrets=(Secret("hf_token", value),))


def test_a_secret_is_compared_by_its_value_and_shown_without() -> None:
    assert field_changes(secret(b"canary"), secret(b"canary")) == ()
    changed = (FieldChange("secrets.hf_token", "***", "***"),)
    assert field_changes(secret(b"canary"), secret(b"other")) == changed
    assert field_changes(secret(None), secret(b"canary")) == changed
    assert str(changed[0]) == "secrets.hf_token: (changed)"
    assert [str(each) for each in field_changes(NODE, secret(b"canary"))] == [
        "secrets.hf_token: (none) -> ***"
    ]
    assert [str(each) for each in field_changes(secret(b"canary"), NODE)] == [
        "secrets.hf_token: *** -> (none)"
    ]
