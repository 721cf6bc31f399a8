"""What a shell offers on TAB: playbooks, projects, ranks of nodes, runs that were kept.

A shell waits for this: what does not answer at once is left out, and nothing is ever printed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import FolderUnusable, OrchestrateError

if TYPE_CHECKING:
    import click
    from click.shell_completion import CompletionItem

    from orchestrator.state.observed import ObservedNode
    from orchestrator.teardown import Placed

SHELLS = ("bash", "zsh", "fish")
SUFFIXES = (".yaml", ".yml")
DEADLINE_S = "2"

_PLACES = {
    "bash": ("XDG_DATA_HOME", ".local/share", "bash-completion/completions/orchestrate"),
    "zsh": ("XDG_DATA_HOME", ".local/share", "zsh/site-functions/_orchestrate"),
    "fish": ("XDG_CONFIG_HOME", ".config", "fish/completions/orchestrate.fish"),
}


def playbook_files(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """YAML files, and folders on the way to one."""
    from click.shell_completion import CompletionItem

    head, slash, begun = incomplete.rpartition("/")
    found: list[str] = []
    with suppress(OSError):
        names = (path.name for path in Path(head + slash or ".").iterdir() if _is_playbook(path))
        found = sorted(head + slash + name for name in names if name.startswith(begun))
    # First, since bash drops what came before it; never empty, since zsh drops empty words.
    return [CompletionItem(incomplete or "./", type="dir"), *map(CompletionItem, found)]


def _is_playbook(path: Path) -> bool:
    # What a terminal would obey has no business on a command line.
    return path.suffix in SUFFIXES and path.name.isprintable() and path.is_file()


def project_names(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Projects that are here, and those whose runs were kept."""
    from click.shell_completion import CompletionItem

    from orchestrator.archive import kept_projects

    told = dict.fromkeys(kept_projects(), "its runs were kept")
    told |= dict.fromkeys(_local_names(), "on local")
    told |= {placed.summary.name: "on docker" for placed in _docker_projects()}
    return [
        CompletionItem(name, help=told[name]) for name in sorted(told) if _fits(name, incomplete)
    ]


def projects_and_playbooks(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """What a verb takes that goes by a name or a playbook."""
    files = playbook_files(context, parameter, incomplete)
    return files + project_names(context, parameter, incomplete)


def node_ranks(
    context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Ranks of nodes: of the project that is named already, else of every project."""
    from click.shell_completion import CompletionItem

    of = {node.node_rank: node.name for node in _nodes(_named(context))}
    return [
        CompletionItem(str(rank), help=of[rank]) for rank in sorted(of) if _fits(rank, incomplete)
    ]


def run_ids(
    context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Runs that were kept, newest first: of the project that is named already, else of all."""
    from click.shell_completion import CompletionItem

    from orchestrator.archive import kept_projects, run_folders

    named = _named(context)
    projects = [named] if named in kept_projects() else kept_projects()
    return [
        CompletionItem(folder.name, help=project)
        for project in projects
        for folder in run_folders(project)
        if _fits(folder.name, incomplete)
    ]


def _named(context: click.Context) -> str | None:
    """The project that a command line names so far."""
    # While an option still lacks its value, the other words wait in `args`.
    words = (context.params.get("project"), context.params.get("target"), *context.args)
    return next((word for word in words if word), None)


def _fits(value: object, incomplete: str) -> bool:
    return str(value).startswith(incomplete)


def _local_names() -> list[str]:
    """The projects of the embedded engine, by its folders: loading it would take twice as long."""
    from orchestrator.engines.local.folders import project_names
    from orchestrator.engines.local.root import default_root

    with suppress(OrchestrateError):
        return project_names(default_root(os.environ))
    return []


def _docker_projects() -> tuple[Placed, ...]:
    """The projects of this account on Docker, if it answers at once."""
    from orchestrator.choose import docker_engine, socket_answers
    from orchestrator.teardown import find_projects

    # This process answers one question of a shell and ends: the deadline is its own.
    os.environ["ORCHESTRATE_DEADLINE_S"] = DEADLINE_S
    if socket_answers():
        with suppress(OrchestrateError):
            found = find_projects([docker_engine()])
            return tuple(placed for placed in found if placed.summary.is_mine)
    return ()


def _projects() -> tuple[Placed, ...]:
    """The projects of this account on each engine that answers at once."""
    from orchestrator.choose import local_engine, local_is_in_use
    from orchestrator.teardown import find_projects

    found = _docker_projects()
    if local_is_in_use():
        with suppress(OrchestrateError):
            found += find_projects([local_engine()])
    return found


def _nodes(target: str | None) -> Iterator[ObservedNode]:
    from orchestrator.teardown import select

    found = _projects()
    for placed in select(found, target) if target else found:
        with suppress(OrchestrateError):
            yield from placed.engine.observe_nodes(placed.summary.name)


def script_of(shell: str, app: click.Command) -> str:
    """The script that has a shell ask this program on TAB."""
    from click.shell_completion import BashComplete, FishComplete, ZshComplete

    of = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}[shell]
    return of(app, {}, "orchestrate", "_ORCHESTRATE_COMPLETE").source()


def install(shell: str, app: click.Command) -> Path:
    """Write the script where the shell looks for it; the path.

    Raises:
        FolderUnusable: it cannot be written.
    """
    variable, default, name = _PLACES[shell]
    base = os.environ.get(variable, "")
    path = (Path(base) if base.startswith("/") else Path.home() / default) / name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(script_of(shell, app), encoding="utf-8")
    except OSError as exc:
        raise FolderUnusable(
            f"{path} cannot be written: {exc.strerror}",
            fix=f"put what `orchestrate completion {shell}` prints where your shell reads it",
        ) from exc
    return path
