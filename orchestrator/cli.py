"""The command line: parse, call, print, exit. The only module that prints or exits.

What a verb needs is imported when it runs, so that none pays for another.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from typer.exceptions import Abort, TyperException

from orchestrator.choose import EngineName
from orchestrator.errors import ExitCode, InvalidPlaybook, OrchestrateError

EXIT_CODES = """
Exit codes: 0 converged · 1 a check did not hold or a node failed · 2 changes pending
(plan --exit-code) · 3 invalid playbook · 4 engine not reachable · 5 image not to be had ·
6 name taken · 7 node not started · 8 locked by another apply or destroy · 9 no such project ·
10 disk full · 11 port or address trouble · 12 the engine failed · 64 wrong usage ·
70 a bug · 130 interrupted
"""

app = typer.Typer(
    name="orchestrate",
    help="Simulate multi-node PyTorch training on one machine, from a playbook, with proof.",
    epilog=EXIT_CODES,
    invoke_without_command=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)

PlaybookArg = Annotated[Path, typer.Argument(metavar="PLAYBOOK", help="The playbook's YAML file.")]
EngineOpt = Annotated[
    EngineName,
    typer.Option("--engine", help="Where nodes run; auto is Docker if it answers, else local."),
]
JsonOpt = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


@app.command()
def apply(
    playbook: PlaybookArg,
    engine: EngineOpt = EngineName.AUTO,
    detach: Annotated[
        bool, typer.Option("--detach", help="Return once the nodes run; check nothing.")
    ] = False,
    rerun: Annotated[
        bool, typer.Option("--rerun", help="Run again, although the last run finished.")
    ] = False,
    as_json: JsonOpt = False,
) -> None:
    """Bring the cluster to what PLAYBOOK declares, and wait until its checks hold."""
    from orchestrator.verbs import ApplyOptions, apply_verb

    _end(apply_verb(playbook, ApplyOptions(engine, detach, rerun, as_json)))


@app.command()
def plan(
    playbook: PlaybookArg,
    engine: EngineOpt = EngineName.AUTO,
    rerun: Annotated[bool, typer.Option("--rerun", help="Plan for a new run.")] = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 2 when there is something to do.")
    ] = False,
    as_json: JsonOpt = False,
) -> None:
    """Show what apply would do, and do nothing."""
    from orchestrator.verbs import plan_verb

    is_empty = plan_verb(playbook, engine, rerun=rerun, as_json=as_json)
    _end(ExitCode.CHANGES_PENDING if exit_code and not is_empty else ExitCode.CONVERGED)


@app.command()
def verify(
    playbook: PlaybookArg, engine: EngineOpt = EngineName.AUTO, as_json: JsonOpt = False
) -> None:
    """Judge the run that is there by its logs, without waiting or changing anything."""
    from orchestrator.verbs import verify_verb

    _end(verify_verb(playbook, engine, as_json=as_json))


@app.command()
def validate(playbook: PlaybookArg, as_json: JsonOpt = False) -> None:
    """Check PLAYBOOK and name every fault in it, with line and column."""
    from orchestrator.verbs import validate_verb

    _end(validate_verb(playbook, as_json=as_json))


@app.command()
def schema() -> None:
    """Print the JSON Schema of the playbook language, for editors."""
    from orchestrator.verbs import schema_verb

    schema_verb()


@app.command()
def status(
    project: Annotated[str | None, typer.Argument(help="One project; all without it.")] = None,
    engine: EngineOpt = EngineName.AUTO,
    as_json: JsonOpt = False,
) -> None:
    """Show the nodes of every project, or of one."""
    from orchestrator.looking import status_verb

    _end(status_verb(project, engine, as_json=as_json))


@app.command()
def logs(
    project: Annotated[
        str | None, typer.Argument(help="Project or playbook; the only one there is without it.")
    ] = None,
    node: Annotated[
        int | None, typer.Option("--node", help="One node, by its rank.", min=0)
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as lines come.")] = False,
    raw: Annotated[bool, typer.Option("--raw", help="Records as the JSON they are.")] = False,
    engine: EngineOpt = EngineName.AUTO,
) -> None:
    """Show what the nodes wrote, rank-prefixed; kept logs when the nodes are gone."""
    from orchestrator.looking import LogsOptions, logs_verb

    _end(logs_verb(project, LogsOptions(engine, node, follow, raw)))


@app.command()
def destroy(
    project: Annotated[
        str | None,
        typer.Argument(
            metavar="[PLAYBOOK|NAME]", help="What to destroy; the only project there is without it."
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every project.")] = False,
    engine: EngineOpt = EngineName.AUTO,
    grace_s: Annotated[
        float, typer.Option("--grace", help="Seconds between SIGTERM and SIGKILL.", min=0.0)
    ] = 5.0,
    as_json: JsonOpt = False,
) -> None:
    """Remove every object of a project; logs stay in .orchestrate/runs."""
    from orchestrator.looking import DestroyOptions, destroy_verb

    _end(destroy_verb(project, DestroyOptions(every, engine, grace_s, as_json)))


def _version(wanted: bool) -> None:
    if wanted:
        from orchestrator import __version__

        typer.echo(f"orchestrate {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    context: typer.Context,
    version: Annotated[  # noqa: ARG001  (its callback acts)
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        _end(ExitCode.USAGE)


def _end(code: ExitCode) -> None:
    raise typer.Exit(int(code))


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of the `orchestrate` command."""
    _take_signals()
    sys.exit(run(sys.argv[1:] if argv is None else argv))


def run(argv: Sequence[str]) -> int:
    """Run one command line; return its exit code. Never lets a traceback out."""
    try:
        return _run(argv)
    except (OrchestrateError, TyperException) as exc:
        return _refused(exc)
    except (_Interrupted, Abort):
        return _failed(
            "orchestrate: interrupted; what was created stays:"
            " `orchestrate status` shows it, apply goes on from it, destroy removes it",
            ExitCode.INTERRUPTED,
        )
    except BrokenPipeError:
        # The reader has gone (`orchestrate logs | head`): nothing to say, nobody to hear it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(ExitCode.CONVERGED)
    except Exception as exc:  # noqa: BLE001  (the last resort: users get no traceback)
        return _bug(exc)


def _run(argv: Sequence[str]) -> int:
    code = app(args=list(argv), prog_name="orchestrate", standalone_mode=False)
    sys.stdout.flush()  # here, where a reader that has gone is dealt with
    return code if isinstance(code, int) else 0


def _refused(exc: OrchestrateError | TyperException) -> int:
    match exc:
        case TyperException():
            wrong = exc.format_message().rstrip(".")
            return _failed(f"orchestrate: {wrong}; see `orchestrate --help`", ExitCode.USAGE)
        case InvalidPlaybook():
            return _failed("\n".join(str(fault) for fault in exc.faults), exc.exit_code)
        case _:
            return _failed(f"orchestrate: {exc}", exc.exit_code)


class _Interrupted(BaseException):
    """Ctrl-C or SIGTERM. Not KeyboardInterrupt, which typer turns into a silent exit."""


def _failed(text: str, code: ExitCode) -> int:
    from orchestrator.console import Console

    Console().say_error(text)
    return int(code)


def _bug(exc: Exception) -> int:
    with tempfile.NamedTemporaryFile(
        "w", prefix="orchestrate-bug-", suffix=".txt", delete=False, encoding="utf-8"
    ) as file:
        file.write(f"{time.asctime()}\n{sys.argv}\n")
        traceback.print_exception(exc, file=file)
    text = f"orchestrate: a bug: {type(exc).__name__}: {exc}; please report it with {file.name}"
    return _failed(text, ExitCode.INTERNAL)


def _take_signals() -> None:
    """The first Ctrl-C or SIGTERM winds down, the second leaves at once."""

    def leave(_signal: int, _frame: FrameType | None) -> None:
        os._exit(int(ExitCode.INTERRUPTED))

    def wind_down(_signal: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, leave)
        signal.signal(signal.SIGTERM, leave)
        raise _Interrupted

    signal.signal(signal.SIGINT, wind_down)
    signal.signal(signal.SIGTERM, wind_down)


if __name__ == "__main__":
    main()
