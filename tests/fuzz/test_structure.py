"""Playbooks that hold load, however they are written; one change makes a fault where it is."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck as Health
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st

from orchestrator.errors import Fault
from orchestrator.playbook.loader import load_text
from tests.fuzz.promise import NAME, faults_of
from tests.fuzz.spots import Spot, allows, node_at, put, spots
from tests.fuzz.strategies import PLAYBOOKS, Json, make_files
from tests.fuzz.writing import STYLES, node_of, tag_of, write
from tests.reliability.record import RecordCase, record_inputs

# Without shrinking: a playbook has a thousand draws, and to shrink one takes minutes.
_MANY = settings(
    max_examples=40,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[Health.function_scoped_fixture, Health.too_slow, Health.filter_too_much],
)
_STYLE = st.sampled_from(sorted(STYLES))

_OTHER_VALUES: tuple[Json, ...] = (
    None,
    True,
    0,
    -1,
    7,
    10**18,
    -1.5,
    0.0,
    1e300,
    "",
    "x y",
    "-x",
    "1",
    "60",
    "9" * 31 + "h",
    "1e9GiB",
    "\u202e\u0007\x1b[2J",
    "é" * 500,
    "/" * 5000,
    [],
    [1],
    [["x"]],
    {},
    {"zz": 1},
    {"": None},
    {1: 1},
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of the playbooks, with the files that they name."""
    return make_files(tmp_path)


FaultsIn = Callable[[bytes], tuple[Fault, ...]]


@pytest.fixture
def faults_in(folder: Path, record_case: RecordCase, request: pytest.FixtureRequest) -> FaultsIn:
    """The faults of a text as a playbook; each text is recorded by the test's name."""
    words = re.split("_loads|_is_a_fault", request.node.name.removeprefix("test_"))[0]
    kind = f"made from the schema: {words.replace('_', ' ')}"

    def look(text: bytes) -> tuple[Fault, ...]:
        faults = faults_of(text, folder)
        record_inputs(record_case, kind, refused=bool(faults), read=not faults)
        return faults

    return look


@st.composite
def _playbook_and_spot(draw: st.DrawFn, *, mapping: bool = False) -> tuple[Json, Spot]:
    playbook = draw(PLAYBOOKS)
    found = [spot for spot in spots(playbook) if spot.known or not mapping]
    return playbook, draw(st.sampled_from(found))


def _is_at(fault: Fault, path: str) -> bool:
    # Files are laid over each other before anything has a path: which item it is, the line says.
    path = "include" if path.startswith("include[") else path
    return fault.path == path or fault.path.startswith((f"{path}.", f"{path}[")) or not path


@_MANY
@given(PLAYBOOKS)
def test_what_the_schema_allows_loads_and_means_the_same_in_every_style(
    faults_in: FaultsIn, folder: Path, playbook: Json
) -> None:
    texts = [write(node_of(playbook), style) for style in STYLES]

    assert [faults_in(text) for text in texts] == [()] * len(texts)
    loaded = [load_text(text, name=NAME, folder=folder).playbook for text in texts]
    assert loaded == [loaded[0]] * len(texts)


@_MANY
@given(_playbook_and_spot(), st.sampled_from(_OTHER_VALUES), _STYLE)
def test_a_value_that_the_schema_refuses_is_a_fault_at_its_place(
    faults_in: FaultsIn, found: tuple[Json, Spot], value: Json, style: str
) -> None:
    playbook, spot = found
    assume(not allows(spot.schema, value))

    faults = faults_in(write(node_of(put(playbook, spot.loc, value)), style))

    assert [fault for fault in faults if _is_at(fault, spot.path)]


@_MANY
@given(_playbook_and_spot(), st.integers(0, 2), _STYLE)
def test_any_other_value_loads_or_is_a_fault(
    faults_in: FaultsIn, found: tuple[Json, Spot], seed: int, style: str
) -> None:
    playbook, spot = found
    for value in _OTHER_VALUES[seed::3]:
        faults_in(write(node_of(put(playbook, spot.loc, value)), style))


@_MANY
@given(_playbook_and_spot(mapping=True), st.data(), _STYLE)
def test_a_key_that_is_missing_is_a_fault_at_its_place(
    faults_in: FaultsIn, found: tuple[Json, Spot], data: st.DataObject, style: str
) -> None:
    playbook, spot = found
    assume("required" in spot.schema)
    assume("anyOf" not in spot.schema)
    key = data.draw(st.sampled_from(spot.schema["required"]))
    rest = {name: value for name, value in spot.value.items() if name != key}

    faults = faults_in(write(node_of(put(playbook, spot.loc, rest)), style))

    assert (f"{spot.path}.{key}".lstrip("."), "missing") in [(f.path, f.what) for f in faults]


@_MANY
@given(
    _playbook_and_spot(mapping=True),
    st.data(),
    st.sampled_from(["x", "_", "é", "\u200b", "\U0001f600", "\x1b", "\u202e", "\t", "#", ": "]),
    _STYLE,
)
def test_a_key_with_one_letter_more_is_a_fault_at_the_key(
    faults_in: FaultsIn, found: tuple[Json, Spot], data: st.DataObject, letter: str, style: str
) -> None:
    playbook, spot = found
    assume(bool(spot.value))
    key = data.draw(st.sampled_from(sorted(spot.value, key=str)))
    at = data.draw(st.integers(1, len(key)))
    root = node_of(playbook)
    for name, _ in node_at(root, spot.loc).value:
        if name.value == key:
            name.value = key[:at] + letter + key[at:]
            name.style = '"'
    text = write(root, style)

    faults = faults_in(text)

    lines = text.decode().splitlines()
    pointed = ["\n".join(lines[fault.line - 1 :])[fault.column - 1 :] for fault in faults]
    escaped = ascii(key[:at])[1:-1]
    assert [line for line in pointed if line.lstrip('? {"-\n').startswith(escaped)], pointed


@_MANY
@given(_playbook_and_spot(), st.data(), _STYLE)
def test_a_key_that_is_given_twice_is_a_fault_at_its_place(
    faults_in: FaultsIn, found: tuple[Json, Spot], data: st.DataObject, style: str
) -> None:
    playbook, spot = found
    assume(isinstance(spot.value, dict) and spot.value)
    root = node_of(playbook)
    pairs = node_at(root, spot.loc).value
    key, value = data.draw(st.sampled_from(pairs))
    pairs.append((copy.copy(key), value if data.draw(st.booleans()) else node_of("x")))

    faults = faults_in(write(root, style))

    twice = [fault.path for fault in faults if fault.what.startswith("the key is given twice")]
    assert [path.startswith(spot.path) for path in twice] == [True]


@_MANY
@given(
    _playbook_and_spot(),
    st.sampled_from(["9" * 40, "9" * 41, "1" * 5000, "0x" + "f" * 400, "1e999", "-.inf", "0755"]),
    _STYLE,
)
def test_a_huge_number_is_a_fault_at_its_place(
    faults_in: FaultsIn, found: tuple[Json, Spot], number: str, style: str
) -> None:
    playbook, spot = found
    assume(not isinstance(spot.value, dict | list))
    root = node_of(playbook)
    node: Any = node_at(root, spot.loc)
    # Without a style and with the tag that the writer expects it stands there bare.
    node.value, node.style, node.tag = number, "", tag_of(number)

    faults = faults_in(write(root, style))

    assert [fault.path for fault in faults if _is_at(fault, spot.path)]
