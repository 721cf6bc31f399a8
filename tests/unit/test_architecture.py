"""What importing a module costs: each in a fresh interpreter."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = (
    "torch",
    "transformers",
    "trainer",
    "python_on_whales",
    "pydantic",
    "yaml",
    "jinja2",
    "rich",
)

LATER = (
    "orchestrator.doctor.facts",
    "orchestrator.doctor.finding",
    "orchestrator.doctor.judging",
    "orchestrator.engines.docker.command_changer",
    "orchestrator.engines.docker.command_reader",
    "orchestrator.engines.local",
    "orchestrator.gpus.inventory",
    "orchestrator.gpus.nvidia_smi",
    "orchestrator.images.recipe",
    "orchestrator.plans.file",
    "orchestrator.playbook.wording",
    "orchestrator.records",
    "orchestrator.verify.checks",
)
"""What is imported by who needs it, once that is known: not on the way to the first node."""


def imported_by(*modules: str) -> list[str]:
    """Which of those named above are in memory after importing these modules."""
    code = (
        "import importlib, sys\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
        f"print(*[name for name in {(*HEAVY, *LATER)!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.split()


def test_the_test_sees_an_import() -> None:
    found = imported_by("yaml", "orchestrator.records")
    assert found == ["pydantic", "yaml", "orchestrator.records"]


@pytest.mark.parametrize(
    ("modules", "heavy"),
    [
        (("orchestrator",), []),
        (("orchestrator.cli",), []),
        (("orchestrator.commands.looking", "orchestrator.teardown"), []),
        (("orchestrator.teardown", "orchestrator.engines.docker.engine"), []),
        (("orchestrator.run",), ["pydantic"]),
        (
            (
                "orchestrator.commands.verbs",
                "orchestrator.engines.docker.engine",
                "orchestrator.engines.docker.socket_changer",
                "orchestrator.engines.docker.socket_reader",
            ),
            ["pydantic", "yaml"],
        ),
    ],
)
def test_a_verb_imports_no_more_than_it_needs(modules: tuple[str, ...], heavy: list[str]) -> None:
    assert imported_by(*modules) == heavy
