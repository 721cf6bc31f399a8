"""Whatever `init --from` is given: a playbook that can be read, or the one typed error."""

from __future__ import annotations

from pathlib import Path

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.errors import InvalidPlaybook
from orchestrator.playbook.loader import load_text
from orchestrator.starting.carried import Place, said
from orchestrator.starting.compose import _CARRIED
from orchestrator.starting.docker_run import table
from orchestrator.starting.taking import take

PLACE = Place("p", "p.yaml", "/lab", "/lab", "docker run")

_TEXTS = (
    "all|device=0|a=b|K|RANK=1|MASTER_ADDR=localhost|./x:/y:ro|v:/y|2g|1|{{ x }}|a: b|#c|\x1b[2J|"
    "é\u202e|x\ny|-||~/x:/y|A={{ y }}|1:2"
)
_NASTY = st.sampled_from(_TEXTS.split("|"))
_WORD = _NASTY | st.text(max_size=8)
_FLAG = st.sampled_from(sorted(name for name in table().flags if not name.startswith("-")))


def quoted(word: str) -> str:
    return "'" + word.replace("'", "'\\''") + "'"


@st.composite
def commands(draw: st.DrawFn) -> str:
    asked = [
        f"--{name}" + (f"={quoted(draw(_WORD))}" if table().flags[name].takes_value else "")
        for name in draw(st.lists(_FLAG, max_size=6))
    ]
    rest = draw(st.lists(_WORD, min_size=2, max_size=4))
    return " ".join(["docker", "run", *asked, *map(quoted, rest)])


def holds_its_promise(text: str, name: str) -> None:
    """A playbook that is YAML, faults of values alone, and words that no terminal obeys."""
    try:
        draft, notes = take(text, name, PLACE)
        written = draft.text
        load_text(written.encode(), name="p.yaml", folder=Path("/"))
    except InvalidPlaybook as exc:
        syntax = [fault for fault in exc.faults if fault.file == "p.yaml" and not fault.path]
        assert syntax == []
        return
    assert all(isinstance(said(note), str) for note in notes)
    assert "\x1b" not in written


@settings(max_examples=200, deadline=None)
@given(st.lists(commands(), min_size=1, max_size=3))
def test_commands(lines: list[str]) -> None:
    holds_its_promise("\n".join(lines), "x.sh")


_KEYS = st.sampled_from((*_CARRIED, "ports", "x-y", "nonsense"))
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _WORD,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_WORD, inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from("abc"), st.dictionaries(_KEYS, _VALUES), min_size=1))
def test_compose_files(services: dict[str, object]) -> None:
    holds_its_promise(yaml.safe_dump({"services": services}), "c.yaml")
