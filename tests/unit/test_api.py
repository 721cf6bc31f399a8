"""The verbs for programs: what the command does, as values."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from orchestrator import api
from orchestrator.errors import NoSuchProject
from orchestrator.events import Event, PlanMade
from tests.unit.desk import Desk, desk

__all__ = ["desk"]


@pytest.fixture
def engines(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """The desk's engines, for programs too."""
    monkeypatch.setattr(api, "engine_for", lambda _name, _notice: desk.engine)
    monkeypatch.setattr(api, "engines_for", lambda _name, _notice: tuple(desk.engines))
    return desk


def test_from_a_playbook_to_nothing(engines: Desk) -> None:
    playbook = api.load("pair.yaml")
    assert not api.plan(playbook).is_empty
    events: list[Event] = []
    done = api.apply(playbook, on_event=events.append)
    assert (done.project, done.exit_code) == ("pair", 0)
    assert [(check.name, check.status) for check in done.checks][-1] == ("completed", "ok")
    assert (done.recap.changed, done.recap.failed) == (4, 0)
    assert isinstance(events[0], PlanMade)
    assert api.plan(playbook).is_empty
    assert [(project.name, len(project.nodes)) for project in api.status()] == [("pair", 2)]
    assert api.status("other") == ()
    assert api.verify("pair.yaml").exit_code == 0
    assert api.destroy() == ("pair",)
    assert api.destroy("pair") == ()
    assert api.verify("pair").source == "kept"


def test_apply_returns_what_the_command_prints_as_json(engines: Desk) -> None:
    returned = json.loads(json.dumps(asdict(api.apply(api.load("pair.yaml"), rerun=True))))
    printed = engines.run("apply", "pair.yaml", "--rerun", "--json").document
    assert returned.keys() == printed.keys()
    assert [check["name"] for check in returned["checks"]] == [
        check["name"] for check in printed["checks"]
    ]


def test_nothing_is_printed(engines: Desk) -> None:
    api.apply(api.load("pair.yaml"))
    api.verify("pair.yaml")
    api.destroy("pair")
    assert tuple(engines.capsys.readouterr()) == ("", "")


def test_variables_are_data(engines: Desk) -> None:
    engines.write(
        "version: 1\nname: pair\nvars: {steps: 1, note: x}\nimage: {tag: i}\n"
        'ranks: {nodes: 1, command: [c, "{{ steps + 1 }}", "{{ note }}"]}\n'
    )
    Path("more.yaml").write_text("steps: 4\n")
    given = api.load("pair.yaml", {"note": "{{ é \U0001f600 }}"}, vars_files=["more.yaml"])
    assert given.playbook.ranks.command == ("c", "5", "{{ é \U0001f600 }}")


def test_what_is_refused_is_an_error_with_its_exit_code(engines: Desk) -> None:
    engines.write("version: 1\nname: Bad\n", "bad.yaml")
    with pytest.raises(api.InvalidPlaybook) as caught:
        api.load("bad.yaml")
    assert caught.value.exit_code == api.ExitCode.INVALID_PLAYBOOK
    assert [fault.path for fault in caught.value.faults] == ["image", "ranks", "name"]
    with pytest.raises(NoSuchProject):
        api.verify("never-there")


def test_importing_it_brings_no_torch() -> None:
    code = (
        "import sys; from orchestrator import api; print('torch' in sys.modules, len(api.__all__))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == ["False", str(len(api.__all__))]
