"""The verb completion: what a shell needs in order to complete command lines. It prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.commands.completing import install, script_of
from orchestrator.display.console import Console
from orchestrator.errors import ExitCode

if TYPE_CHECKING:
    import click

_THEN = {
    "bash": "new shells have it, where the package bash-completion is installed",
    "zsh": "put its folder on fpath ahead of `compinit`: fpath+=({folder})",
    "fish": "new shells have it",
}


def completion_verb(shell: str, app: click.Command, *, is_to_install: bool) -> ExitCode:
    """Print the script for a shell, or put it where that shell looks for it."""
    if not is_to_install:
        print(script_of(shell, app))  # noqa: T201
        return ExitCode.CONVERGED
    path = install(shell, app)
    Console().say(f"wrote {path}: {_THEN[shell].format(folder=path.parent)}")
    return ExitCode.CONVERGED
