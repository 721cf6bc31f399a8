"""Naughty strings in every text of a playbook, read and shown."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.playbook.loader import load_text
from tests.corpora import naughty_strings
from tests.fuzz.promise import NAME, assert_harmless, faults_of
from tests.fuzz.strategies import make_files
from tests.reliability.record import RecordCase, record_inputs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of the playbooks."""
    return make_files(tmp_path)


def _playbook(**ranks: Any) -> dict[str, Any]:
    return {
        "version": 1,
        "name": "x",
        "image": {"tag": "app"},
        "ranks": {"nodes": 2, "command": ["a"], **ranks},
    }


def _full_of(text: str) -> dict[str, Any]:
    """A playbook with a text wherever there is one."""
    return {
        "version": text,
        "name": text,
        "image": {
            "tag": text,
            "pull": text,
            "build": {
                "context": text,
                "dockerfile": text,
                "requirements": text,
                "args": {text: text},
            },
        },
        "network": {"name": text, "internal": text},
        "ranks": {
            "nodes": text,
            "command": ["a", text],
            "env": {"A": text, text: "a", f"A{text}": text},
            "mounts": [{"source": text, "target": text}, {text: text}],
            "resources": {"cpus": text, "memory": text},
            "user": text,
            "per_node": {text: {"env": {text: text}}},
        },
        "rendezvous": {"backend": text, "port": text, "timeout": text},
        "health_checks": [text, {text: {}}, {"joined": {"within": text, text: text}}],
        "on_failure": text,
        text: text,
    }


def test_a_naughty_string_anywhere_is_a_sane_fault(folder: Path, record_case: RecordCase) -> None:
    quiet = [
        text
        for text in naughty_strings()
        if not faults_of(yaml.safe_dump(_full_of(text)).encode(), folder)
    ]

    assert quiet == []
    kind = "naughty strings, in every place of a playbook at once"
    record_inputs(record_case, kind, refused=len(naughty_strings()))


def test_a_naughty_string_without_quotes_loads_or_is_a_sane_fault(folder: Path) -> None:
    start = json.dumps(_playbook())
    for text in naughty_strings():
        raw = text.encode("utf-8", "surrogatepass")
        faults_of(b"name: " + raw + b"\n" + raw + b": x\n? " + raw, folder)
        faults_of(start.encode()[:-2] + b", env: {A: " + raw + b"}}}", folder)
        faults_of(b"ranks:\n  command: [" + raw + b"]\n  env:\n    A: |\n      " + raw, folder)


def test_a_naughty_string_as_a_value_reaches_the_nodes_as_it_is(
    folder: Path, record_case: RecordCase
) -> None:
    given = {f"A{index}": text for index, text in enumerate(naughty_strings())}
    fine = {
        name: text
        for name, text in given.items()
        if not faults_of(yaml.safe_dump(_playbook(env={name: text})).encode(), folder)
    }

    loaded = load_text(yaml.safe_dump(_playbook(env=fine)).encode(), name=NAME, folder=folder)

    assert loaded.playbook.ranks.env == fine
    assert len(fine) > 470
    kind = "naughty strings, as the value of a variable"
    record_inputs(record_case, kind, refused=len(given) - len(fine), read=len(fine))


def test_naughty_faults_cannot_steer_the_terminal(folder: Path) -> None:
    command = [str(Path(sys.executable).with_name("orchestrate")), "validate"]
    for index in range(0, len(naughty_strings()), 100):
        texts = naughty_strings()[index : index + 100]
        path = folder / f"{index}.yaml"
        path.write_text(yaml.safe_dump({**_playbook(env=dict.fromkeys(texts, "x")), "y": texts}))

        done = subprocess.run([*command, path], capture_output=True, check=False, timeout=60)

        shown = (done.stdout + done.stderr).decode()
        assert (done.returncode, shown.count(f"{path}:") > 50) == (3, True), shown[-2000:]
        for line in shown.split("\n"):
            assert_harmless(line)
