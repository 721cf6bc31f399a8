"""The command line: parse, call, print, exit. The only module that prints or exits.

What a verb needs is imported when it runs, so that none pays for another. Click rather
than typer, which builds pydantic validators for every option: a tenth of a second that
destroy, status and logs have no other use for.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator import __version__
from orchestrator.choose import EngineName
from orchestrator.commands.completing import SHELLS, playbook_files, projects_and_playbooks
from orchestrator.commands.examples import EXIT_CODES
from orchestrator.commands.options import (
    COMMAND,
    Verbs,
    WithCommand,
    engine_option,
    init_options,
    json_option,
    junit_option,
    log_filters,
    plain_option,
    playbook_argument,
    report_options,
    run_option,
    target_argument,
    variables_options,
)
from orchestrator.commands.signals import take_signals
from orchestrator.display import cursor
from orchestrator.errors import ExitCode, Interrupted, OrchestrateError

if TYPE_CHECKING:
    from orchestrator.display.picking import Wanted
    from orchestrator.playbook.given import Chosen

# Verbs whose work is what they print: whoever stops reading has what was wanted of them.
# Of the others, 0 would say that an apply converged which `| head` cut short.
_LOOKING = ("doctor", "logs", "schema", "status")


@click.group(cls=Verbs, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="orchestrate", message="%(prog)s %(version)s")
def app() -> None:
    """Test multi-node PyTorch training on one machine, from a playbook, with proof."""


@app.command()
@playbook_argument
@engine_option
@click.option("--detach", is_flag=True, help="Return once the nodes run; check nothing.")
@click.option("--rerun", is_flag=True, help="Run again, although the last run finished.")
@click.option("--check", is_flag=True, help="Show what would be done, as `plan`; do nothing.")
@click.option(
    "--follow/--no-follow", default=True, help="Show what the nodes write; on unless said."
)
@plain_option
@junit_option
@json_option
def apply(playbook: Chosen, check: bool, **options: Any) -> ExitCode:
    """Bring the cluster to what PLAYBOOK declares.

    Builds or pulls the image, creates the network and the nodes, follows their logs, and exits
    with 0 only if every check held. Applied again it changes nothing. PLAYBOOK may be a file
    that `plan --out` wrote: that very plan is carried out, or refused if it is out of date.
    """
    if check:
        from orchestrator.commands.planning import PlanOptions, plan_verb

        for of_a_run in ("detach", "junit", "plain", "follow"):
            options.pop(of_a_run)
        plan_verb(playbook.path, PlanOptions(given=playbook.given, **options))
        return ExitCode.CONVERGED
    from orchestrator.commands.verbs import ApplyOptions, apply_verb

    return apply_verb(playbook.path, ApplyOptions(given=playbook.given, **options))


@app.command()
@playbook_argument
@engine_option
@click.option("--rerun", is_flag=True, help="Plan for a new run.")
@click.option("--exit-code", is_flag=True, help="Exit with 2 when there is something to do.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Keep the plan in a file, for `apply FILE`.",
)
@json_option
def plan(playbook: Chosen, exit_code: bool, **options: Any) -> ExitCode:
    """Show what apply would do to each object and why, and do nothing.

    \b
    +  created     ~  changed in place     =  as it should be
    -  removed    -/+ replaced             !  not ours, left alone
    """  # noqa: D301  (click's mark for lines that stay as they are)
    from orchestrator.commands.planning import PlanOptions, plan_verb

    is_empty = plan_verb(playbook.path, PlanOptions(given=playbook.given, **options))
    return ExitCode.CHANGES_PENDING if exit_code and not is_empty else ExitCode.CONVERGED


@app.command()
@target_argument
@variables_options
@engine_option
@run_option
@junit_option
@json_option
def verify(target: str | None, **options: Any) -> ExitCode:
    """Judge a run by its logs.

    Waits for nothing and changes nothing. When the nodes are gone, it judges what was kept of
    their run in .orchestrate/runs, and says so. With a PLAYBOOK its checks are judged as they
    are now, else those that the run was made with.
    """
    from orchestrator.commands.judging import VerifyOptions, verify_verb

    return verify_verb(target, VerifyOptions(**options))


@app.command()
@target_argument
@run_option
@report_options
@json_option
def report(target: str | None, **options: Any) -> ExitCode:
    """Make a page of a run: verdict, timeline, curves, all that was asked and done.

    One HTML file that needs nothing else, made from what was kept of the run in
    .orchestrate/runs: its nodes and its engine may be gone.
    """
    from orchestrator.commands.picturing import ReportOptions, report_verb

    return report_verb(target, ReportOptions(**options))


@app.command()
@playbook_argument
@click.option("--show", is_flag=True, help="Print it resolved: variables, includes, defaults.")
@json_option
def validate(playbook: Chosen, show: bool, as_json: bool) -> ExitCode:
    """Check PLAYBOOK and name every fault in it, with line and column."""
    from orchestrator.commands.verbs import validate_verb

    return validate_verb(playbook.path, playbook.given, show=show, as_json=as_json)


@app.command()
@click.argument(
    "playbook", required=False, type=click.Path(path_type=Path), shell_complete=playbook_files
)
@variables_options
@engine_option
@click.option("--fix", is_flag=True, help="Do what is harmless about it, after asking each time.")
@click.option("--yes", is_flag=True, help="With --fix: do not ask.")
@click.option(
    "--gpu-selftest",
    is_flag=True,
    help="Run two ranks in every GPU mode that this machine allows, and write a report.",
)
@json_option
def doctor(playbook: Path | None, **options: Any) -> ExitCode:
    """Examine this machine: has it what PLAYBOOK needs?

    Each finding says what was found, why it matters and the command that mends it; without
    PLAYBOOK, the general part. Exits with 0 if nothing is in the way, else as an apply would.
    """
    from orchestrator.commands.doctoring import DoctorOptions, doctor_verb

    return doctor_verb(playbook, DoctorOptions(**options))


@app.command()
def schema() -> ExitCode:
    """Print the JSON Schema of the playbook language."""
    from orchestrator.commands.verbs import schema_verb

    return schema_verb()


@app.command("support-bundle")
@target_argument
@variables_options
@engine_option
@run_option
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Where to; orchestrate-support-PROJECT-RUN.tar.gz otherwise.",
)
@json_option
def support_bundle(target: str | None, **options: Any) -> ExitCode:
    """Pack what somebody else needs to understand a run.

    Playbook, plan, events, records, logs, nodes and versions, with secrets hidden and long logs
    cut in the middle; manifest.json says what is in it and what was left out. Works when the
    nodes are gone and when the engine is down.
    """
    from orchestrator.commands.supporting import BundleOptions, bundle_verb

    return bundle_verb(target, BundleOptions(**options))


@app.command()
@click.argument("project", required=False, shell_complete=projects_and_playbooks)
@click.option("-w", "--watch", is_flag=True, help="Follow one with a live board, to its end.")
@plain_option
@engine_option
@json_option
def status(
    project: str | None, engine: EngineName, watch: bool, plain: bool, as_json: bool
) -> ExitCode:
    """Show the nodes of every project, or of one.

    With --watch it shows the run of one project as `apply` does, whoever started it, until it is
    over; it exits with 0 if every check held, else with 1, and changes nothing. PROJECT is a name
    or a playbook.
    """
    if watch:
        from orchestrator.commands.watching import watch_verb

        if as_json:
            raise click.UsageError("--watch shows a run, --json prints one document: not both")
        return watch_verb(project, engine, plain=plain)
    from orchestrator.commands.looking import status_verb

    return status_verb(project, engine, as_json=as_json)


@app.command()
@click.argument("project", required=False, shell_complete=projects_and_playbooks)
@log_filters
@click.option("-f", "--follow", is_flag=True, help="Go on as lines come.")
@click.option("--tail", type=click.IntRange(min=0), metavar="N", help="The last N lines alone.")
@click.option("--raw", is_flag=True, help="Show records as the JSON they are.")
@run_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@engine_option
def logs(project: str | None, wanted: Wanted, **options: Any) -> ExitCode:
    """Show what the nodes wrote, merged by time, rank-prefixed.

    When the nodes are gone, the logs that were kept of their last run, or of RUN_ID. PROJECT is a
    name or a playbook; without it, the only project there is.
    """
    from orchestrator.commands.listening import LogsOptions, logs_verb

    return logs_verb(project, LogsOptions(wanted=wanted, **options))


@app.command()
@click.argument(
    "project",
    required=False,
    metavar="[PLAYBOOK|NAME]",
    shell_complete=projects_and_playbooks,
)
@click.option("--all", "every", is_flag=True, help="Every project.")
@engine_option
@click.option(
    "--grace",
    "grace_s",
    type=click.FloatRange(min=0.0, max=3600.0),
    default=5.0,
    show_default=True,
    help="Seconds between SIGTERM and SIGKILL, for all nodes at once.",
)
@json_option
def destroy(
    project: str | None, every: bool, engine: EngineName, grace_s: float, as_json: bool
) -> ExitCode:
    """Remove every object of a project.

    The nodes' logs stay in .orchestrate/runs. Without a name it takes the only project there
    is; with several it lists them and removes none. It goes by labels alone, so the playbook
    need not be there any more.
    """
    from orchestrator.commands.looking import DestroyOptions, destroy_verb

    if every and project is not None:
        raise click.UsageError("give a project or --all, not both")
    return destroy_verb(project, DestroyOptions(every, engine, grace_s, as_json))


@app.command(cls=WithCommand)
@init_options
@json_option
@click.pass_context
def init(context: click.Context, /, target: Path, **options: Any) -> ExitCode:
    """Write a first playbook: asks at a terminal, takes flags, or commands as they are.

    Beside it goes what it needs: the folder the image is built from, a schema for editors, and a
    script to start from where you have none. Nothing that is there is overwritten unasked.
    """
    from orchestrator.commands.starting import InitOptions, init_verb

    return init_verb(target, InitOptions(command=context.meta[COMMAND], **options))


@app.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.option("--install", is_flag=True, help="Put it where the shell looks for it.")
def completion(shell: str, install: bool) -> ExitCode:
    """Print the script that completes verbs, options, playbooks and projects on TAB."""
    from orchestrator.commands.supplying import completion_verb

    return completion_verb(shell, app, is_to_install=install)


def main(argv: Sequence[str] | None = None) -> None:
    """Take signals, run the command line and leave with its code; see `__main__`."""
    take_signals()
    code = run(sys.argv[1:] if argv is None else argv)
    with suppress(OSError):
        sys.stderr.flush()
    cursor.restore()  # where a signal came just as the board was being taken down
    # Everything is closed and written by now: taking the interpreter apart object by object
    # would only add a tenth of a second to every command.
    os._exit(code)


def run(argv: Sequence[str]) -> int:
    """Run one command line; return its exit code. Never lets a traceback out."""
    as_json = "--json" in argv  # also where the command line cannot be parsed
    try:
        return _run(argv)
    except (OrchestrateError, click.ClickException) as exc:
        return _refused(exc, as_json=as_json)
    except (Interrupted, click.Abort) as exc:
        left = exc.left if isinstance(exc, Interrupted) else ""
        return _failed(ExitCode.INTERRUPTED, "interrupted", left, as_json=as_json)
    except BrokenPipeError:
        # The reader has gone (`orchestrate logs | head`): nothing to say, nobody to hear it.
        is_done = argv[0] in _LOOKING or not {"-h", "--help"}.isdisjoint(argv)
        return int(ExitCode.CONVERGED if is_done else ExitCode.INTERRUPTED)
    except OSError as exc:
        is_full = exc.errno in {errno.ENOSPC, errno.EDQUOT}
        return _disk_full(exc, as_json=as_json) if is_full else _bug(exc, as_json=as_json)
    except Exception as exc:  # noqa: BLE001  (the last resort: users get no traceback)
        return _bug(exc, as_json=as_json)


def _run(argv: Sequence[str]) -> int:
    code = app(args=list(argv), prog_name="orchestrate", standalone_mode=False)
    sys.stdout.flush()  # here, where a reader that has gone is dealt with
    if code == ExitCode.NOT_CONVERGED and "--json" not in argv:
        from orchestrator.commands.failing import tell_more

        tell_more(code)
    return code if isinstance(code, int) else 0


def _refused(exc: OrchestrateError | click.ClickException, *, as_json: bool) -> int:
    from orchestrator.commands.failing import tell_error, tell_usage

    if isinstance(exc, OrchestrateError):
        return tell_error(exc, as_json=as_json)
    if isinstance(exc, click.exceptions.NoArgsIsHelpError):
        click.echo(exc.format_message(), err=True)
        return int(ExitCode.USAGE)
    context = exc.ctx if isinstance(exc, click.UsageError) else None
    verb = context.command_path if context else "orchestrate"
    return tell_usage(exc.format_message(), verb, as_json=as_json)


def _disk_full(exc: OSError, *, as_json: bool) -> int:
    where = f" for {exc.filename}" if exc.filename else ""
    return _failed(ExitCode.OUT_OF_SPACE, f"no space is left{where}", "free some", as_json=as_json)


def _failed(code: ExitCode, what: str, fix: str, *, as_json: bool) -> int:
    from orchestrator.commands.failing import tell_failure

    return tell_failure(code, what, fix, as_json=as_json)


def _bug(exc: Exception, *, as_json: bool) -> int:
    from orchestrator.commands.failing import tell_bug

    return tell_bug(exc, as_json=as_json)
