"""validate --show: what it prints loads as the same playbook."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck as Health
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.playbook.fields import yaml_fields
from orchestrator.playbook.loader import load_text
from orchestrator.playbook.models import CHECKS
from orchestrator.playbook.show import resolved, resolved_yaml
from orchestrator.playbook.units import format_duration, parse_duration_s
from tests.unit.playbook.test_loader import FULL, LEAST, folder

__all__ = ["folder"]

PLAYBOOKS = sorted((Path(__file__).resolve().parents[3] / "playbooks").glob("*.yaml"))
NAUGHTY = [
    *("no", "0755", "0o17", "1e3", ".inf", "22:22", "~", "null", "<<", "=", "a: b", "#", "- a"),
    *("{{ x }}", "{{ '{{' }}", "{% if %}", "{{{{", "{{%", "{{.Go}}", "a\n b\n", "b\n", "a\n\n"),
    *("a\t", "\u2028", "\x85", "\x1b[m", "*a", "&a", "!a", "|", ">", "%", "@", "`", "?", "-"),
    *("é", "\U0001f642", "\ufeff", "a #b", "'", '"', "\\", "a\r\nb"),
]
SHOWN_LEAST = """\
version: 1
name: x
image:
  tag: app
  pull: missing
"""


def reloaded(text: str, folder: Path) -> tuple[object, object]:
    first = load_text(text.encode(), name="x.yaml", folder=folder)
    shown = resolved_yaml(resolved(first.playbook, first.secret))
    again = load_text(shown.encode(), name="x.yaml", folder=folder)
    assert resolved_yaml(resolved(again.playbook)) == shown
    return first.playbook, again.playbook


@pytest.mark.parametrize("text", [LEAST, FULL], ids=["least", "full"])
def test_what_is_shown_loads_as_the_same_playbook(text: str, folder: Path) -> None:
    first, again = reloaded(text, folder)
    assert again == first


@pytest.mark.parametrize("path", PLAYBOOKS, ids=lambda path: path.name)
def test_a_shipped_playbook_is_shown_so_that_it_loads_as_the_same(path: Path) -> None:
    first, again = reloaded(path.read_text(), path.parent)
    assert again == first


def test_the_least_playbook_is_shown_with_its_defaults(folder: Path) -> None:
    playbook = load_text(LEAST.encode(), name="x.yaml", folder=folder).playbook
    document = resolved(playbook)
    assert resolved_yaml(document).startswith(SHOWN_LEAST)
    assert json.loads(json.dumps(document)) == document
    with_value = {key for key in yaml_fields(type(playbook)) if key in document}
    assert with_value == set(document) == set(yaml_fields(type(playbook)))


def test_an_override_shows_what_it_sets_alone(folder: Path) -> None:
    playbook = load_text(FULL.encode(), name="x.yaml", folder=folder).playbook
    per_node = resolved(playbook)["ranks"]["per_node"]
    assert per_node[2] == {"resources": {"cpus": 0.5}}


def test_every_check_is_shown_by_its_kind(folder: Path) -> None:
    playbook = load_text(FULL.encode(), name="x.yaml", folder=folder).playbook
    kinds = [kind for check in resolved(playbook)["health_checks"] for kind in check]
    assert kinds == [check.kind for check in CHECKS if check.kind in FULL]


@settings(max_examples=150, deadline=None, suppress_health_check=[Health.function_scoped_fixture])
@given(
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
        | st.sampled_from(NAUGHTY),
        min_size=1,
        max_size=6,
    )
)
def test_any_text_survives(folder: Path, texts: list[str]) -> None:
    first = load_text(LEAST.encode(), name="x.yaml", folder=folder).playbook
    texts = [f"a{text}" if not text.strip() else text for text in texts]
    ranks = first.ranks.model_copy(update={"command": tuple(texts), "env": {"A": texts[0]}})
    playbook = first.model_copy(update={"ranks": ranks})
    shown = resolved_yaml(resolved(playbook))
    again = load_text(shown.encode(), name="x.yaml", folder=folder).playbook
    assert again == playbook


@given(st.floats(1e-9, 2_592_000, allow_nan=False))
def test_any_duration_survives(seconds: float) -> None:
    text = format_duration(seconds)
    if len(text) <= 32:
        assert parse_duration_s(text) == seconds


def test_a_secret_of_the_environment_is_not_shown(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "canary")
    monkeypatch.setenv("PLACE", "here")
    text = (
        LEAST.replace(
            "command: [python, train.py]",
            "command: [a, '{{ t | upper }}', '{{ list }}'], "
            "env: {A: \"x{{ env('HF_TOKEN') }}\", B: \"{{ env('PLACE') }}\", C: '{{ n }}'}",
        ).replace(", '{{ list }}'", "")
        + "vars: {t: \"{{ env('HF_TOKEN') }}\", n: 1}\n"
    )
    loaded = load_text(text.encode(), name="x.yaml", folder=folder)
    assert loaded.playbook.ranks.command == ("a", "CANARY")
    ranks = resolved(loaded.playbook, loaded.secret)["ranks"]
    assert ranks["command"] == ["a", "***"]
    assert ranks["env"] == {"A": "***", "B": "here", "C": "1"}
    # A list that one template gave holds the secret at every place.
    whole = LEAST.replace("[python, train.py]", "\"{{ ['a', env('HF_TOKEN')] }}\"")
    loaded = load_text(whole.encode(), name="x.yaml", folder=folder)
    assert loaded.playbook.ranks.command == ("a", "canary")
    assert resolved(loaded.playbook, loaded.secret)["ranks"]["command"] == "***"
