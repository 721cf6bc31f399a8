"""Nothing but InvalidPlaybook escapes, whatever is loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck as Health
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.errors import InvalidPlaybook
from orchestrator.playbook.loader import load_text
from orchestrator.playbook.models import Playbook
from orchestrator.playbook.reference import EXAMPLE
from tests.reliability.record import RecordCase, record_inputs

LEAST = {
    "version": 1,
    "name": "x",
    "image": {"tag": "app"},
    "ranks": {"nodes": 2, "command": ["python", "train.py"]},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder `p`, with what the example mounts and builds from."""
    for path in ("docker/Dockerfile", "docker/requirements.txt", "p/data/here"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    return tmp_path / "p"


LoadsOrIsRefused = Callable[[bytes], None]


@pytest.fixture
def loads_or_is_refused(
    folder: Path, record_case: RecordCase, request: pytest.FixtureRequest
) -> LoadsOrIsRefused:
    """Holds the loader to its promise for any bytes, and records each by the test's name."""
    kind = request.node.name.removeprefix("test_no_").partition("_make")[0].replace("_", " ")

    def look(data: bytes) -> None:
        refused = _is_refused(data, folder)
        record_inputs(record_case, f"made at random: {kind}", refused=refused, read=not refused)

    return look


def _is_refused(data: bytes, folder: Path) -> bool:
    try:
        loaded = load_text(data, name="x.yaml", folder=folder)
    except InvalidPlaybook as exc:
        faults = exc.faults
    else:
        assert loaded.playbook == Playbook.model_validate(loaded.playbook)
        return False
    # At least one, each on one printable line, with a place inside the file.
    last = data.count(b"\n") + data.count(b"\r") + 1
    assert faults
    assert [str(fault) for fault in faults if not str(fault).isprintable()] == []
    assert [f for f in faults if not (1 <= f.line <= last + 1 and f.column >= 1)] == []
    return True


_KEYS = st.sampled_from(
    [
        "version",
        "name",
        "image",
        "tag",
        "build",
        "context",
        "dockerfile",
        "args",
        "requirements",
        "pull",
        "network",
        "internal",
        "external",
        "ranks",
        "nodes",
        "command",
        "env",
        "mounts",
        "source",
        "target",
        "outside",
        "resources",
        "cpus",
        "memory",
        "shm_size",
        "user",
        "per_node",
        "rendezvous",
        "backend",
        "port",
        "timeout",
        "gpu",
        "mode",
        "health_checks",
        "joined",
        "training",
        "progress",
        "loss",
        "consistent",
        "throughput",
        "skew",
        "completed",
        "within",
        "except",
        "steps_per_s",
        "every",
        "MASTER_ADDR",
        "RANK",
        "<<",
    ]
)
_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | _KEYS
    | st.sampled_from(
        ["60s", "2GiB", "localhost", "..", "/", "nccl", "cpu", "default", "a\0", 1, 2]
    )
)
_STRUCTURES = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(_KEYS | st.integers(-1, 3) | st.text(max_size=3), inner, max_size=5)
    ),
    max_leaves=25,
)
_FUZZ = settings(
    max_examples=150, deadline=None, suppress_health_check=[Health.function_scoped_fixture]
)


@_FUZZ
@given(st.dictionaries(_KEYS, _STRUCTURES, max_size=6))
def test_no_structure_makes_anything_else_escape(
    loads_or_is_refused: LoadsOrIsRefused, structure: object
) -> None:
    text = yaml.safe_dump(structure, allow_unicode=True)
    loads_or_is_refused(text.encode("utf-8", "surrogatepass"))


@_FUZZ
@given(
    st.sampled_from(
        ["version", "name", "image", "ranks", "network", "rendezvous", "health_checks"]
    ),
    _STRUCTURES,
)
def test_no_section_makes_anything_else_escape(
    loads_or_is_refused: LoadsOrIsRefused, key: str, structure: object
) -> None:
    data = {**LEAST, key: structure}
    loads_or_is_refused(yaml.safe_dump(data).encode("utf-8", "surrogatepass"))


@_FUZZ
@given(
    st.binary(max_size=60)
    | st.text(alphabet="[]{}:,-?&*!|>'\"%@`#~ \n\tab01.<", max_size=60).map(str.encode)
)
def test_no_bytes_make_anything_else_escape(
    loads_or_is_refused: LoadsOrIsRefused, data: bytes
) -> None:
    loads_or_is_refused(data)


@_FUZZ
@given(st.integers(0, len(EXAMPLE) - 1), st.integers(0, 12), st.binary(max_size=3))
def test_no_damage_to_a_good_playbook_makes_anything_else_escape(
    loads_or_is_refused: LoadsOrIsRefused, at: int, length: int, data: bytes
) -> None:
    damaged = EXAMPLE.encode()[:at] + data + EXAMPLE.encode()[at + length :]
    loads_or_is_refused(damaged)


_PIECES = st.sampled_from(
    [
        *("{{", "}}", "{%", "%}", "{#", "{", "}", "(", ")", "[", "]", "'", '"', "\\", "\n", " "),
        *("n", "m", "m.a", "env", "env('HOME')", "range(9)", "self", "loop", "true", "none", "_"),
        *("__class__", ".__mro__", "|join", "|map", "|int", "|replace('', 'x')", "is defined"),
        *("+", "-", "*", "**", "/", "//", "%", "~", "==", "if", "else", "not", "in", ":", ",", "."),
        *("9", "0.5", "1e308", "10**9", "'x'*99999", "é", "\U0001f642", "\x85", "\udfff", "\0"),
    ]
)


@_FUZZ
@given(st.lists(_PIECES, max_size=12), st.lists(_PIECES, max_size=6), st.lists(_PIECES, max_size=6))
def test_no_template_makes_anything_else_escape(
    loads_or_is_refused: LoadsOrIsRefused, whole: list[str], inner: list[str], variable: list[str]
) -> None:
    ranks = {"nodes": 1, "command": ["".join(whole), "{{ " + " ".join(inner) + " }}"]}
    variables = {"n": 2, "m": {"a": [1]}, "v": "{{ " + " ".join(variable) + " }}"}
    data = {**LEAST, "ranks": {**ranks, "env": {"A": "{{ v }}"}}, "vars": variables}
    loads_or_is_refused(yaml.safe_dump(data).encode("utf-8", "surrogatepass"))
