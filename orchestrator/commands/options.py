"""Arguments and options that verbs have in common, and how a verb's help ends. Parses, no more."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from orchestrator.choose import EngineName
from orchestrator.commands.completing import (
    node_ranks,
    playbook_files,
    projects_and_playbooks,
    run_ids,
)
from orchestrator.commands.examples import EXAMPLES

if TYPE_CHECKING:
    from orchestrator.playbook.given import Given

COMMAND = "orchestrator.command"
"""Where the context keeps the command behind `--`."""

Command = TypeVar("Command", bound=Callable[..., Any])


class Verb(click.Command):
    """A verb whose help ends with commands to copy."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples of this verb."""
        with formatter.section("Examples"):
            for command, purpose in EXAMPLES[self.name or ""]:
                formatter.write(f"  {command}" + (f"  # {purpose}" if purpose else "") + "\n")
        super().format_epilog(ctx, formatter)


class WithCommand(Verb):
    """A verb whose command line ends with another command, behind `--`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Set the other command aside: `--` tells its first word from an argument of ours."""
        end = args.index("--") if "--" in args else len(args)
        ctx.meta[COMMAND] = tuple(args[end + 1 :])
        return super().parse_args(ctx, args[:end])

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """Show that a command may follow."""
        return [*super().collect_usage_pieces(ctx), "[-- COMMAND...]"]


class Verbs(click.Group):
    """The command with its verbs."""

    command_class = Verb


def engine_option(command: Command) -> Command:
    """Add the option that says where nodes run."""
    return click.option(
        "--engine",
        type=click.Choice([name.value for name in EngineName]),
        default=EngineName.AUTO.value,
        show_default=True,
        callback=lambda _context, _option, value: EngineName(value),
        help="Where nodes run; auto is Docker if it answers, else local.",
    )(command)


json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document and nothing else."
)


plain_option = click.option("--plain", is_flag=True, help="Lines alone, no live board.")


def playbook_argument(command: Command) -> Command:
    """Add the playbook and the options for its variables; the command gets both as one."""

    @wraps(command)
    def with_playbook(playbook: Path, given: Given, **options: Any) -> Any:
        from orchestrator.playbook.given import Chosen

        return command(playbook=Chosen(playbook, given), **options)

    argument = click.argument(
        "playbook", type=click.Path(path_type=Path), shell_complete=playbook_files
    )
    return variables_options(argument(cast("Command", with_playbook)))


def variables_options(command: Command) -> Command:
    """Add the options for variables; the command gets what is given as one."""

    @wraps(command)
    def with_given(
        extra_vars: tuple[str, ...], vars_files: tuple[Path, ...], **options: Any
    ) -> Any:
        from orchestrator.playbook.given import Given

        return command(given=Given(vars_files, extra_vars), **options)

    for option in (
        click.option(
            "--vars-file",
            "vars_files",
            multiple=True,
            metavar="FILE",
            type=click.Path(path_type=Path),
            help="Variables from a YAML file; they win over those of the playbook.",
        ),
        click.option(
            "-e",
            "--extra-vars",
            multiple=True,
            metavar="NAME=VALUE",
            help="Variables; also @FILE, or a mapping {…}. They win over all others.",
        ),
    ):
        with_given = option(with_given)
    return cast("Command", with_given)


target_argument = click.argument(
    "target",
    required=False,
    metavar="[PLAYBOOK|NAME]",
    shell_complete=projects_and_playbooks,
)

junit_option = click.option(
    "--junit",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write a JUnit file too, with a test case for each check.",
)

run_option = click.option(
    "--run",
    "run_id",
    metavar="RUN_ID",
    shell_complete=run_ids,
    help="This run, and not the newest one.",
)


def log_filters(command: Command) -> Command:
    """Add the options that pick lines of logs; the command gets them as one."""

    @wraps(command)
    def with_wanted(records: bool, **options: Any) -> Any:
        from orchestrator.display.picking import Wanted

        picked = {name: options.pop(name) for name in ("nodes", "ranks", "level", "events")}
        since_s = options.pop("since") or 0.0
        wanted = Wanted(
            nodes=frozenset(picked["nodes"]),
            ranks=frozenset(picked["ranks"]),
            level=picked["level"] or "",
            events=frozenset(picked["events"]),
            since_s=since_s,
            records=records,
        )
        return command(wanted=wanted, **options)

    for option in reversed(_LOG_FILTERS):
        with_wanted = option(with_wanted)
    return cast("Command", with_wanted)


def _moment(_context: click.Context, _parameter: click.Parameter, text: str | None) -> float | None:
    from orchestrator.commands.moments import moment

    try:
        return None if text is None else moment(text, time.time())
    except (ValueError, OverflowError) as exc:
        raise click.BadParameter("write it like 5m, 1h30m or 2026-01-02T03:04:05") from exc


_LOG_FILTERS = (
    click.option(
        "--node",
        "nodes",
        type=click.IntRange(min=0),
        multiple=True,
        metavar="N",
        shell_complete=node_ranks,
        help="Of this node, by its rank; may be repeated, as may the next two.",
    ),
    click.option(
        "--rank",
        "ranks",
        type=click.IntRange(min=0),
        multiple=True,
        metavar="N",
        help="Of this rank; in nodes of several, of lines that say whose they are.",
    ),
    click.option(
        "--event",
        "events",
        multiple=True,
        metavar="KIND",
        help="Records of this kind, such as step; those of the probe, too.",
    ),
    click.option(
        "--level",
        type=click.Choice(["debug", "info", "warning", "error", "critical"], case_sensitive=False),
        help="As grave as that, or graver.",
    ),
    click.option(
        "--since",
        metavar="WHEN",
        callback=_moment,
        help="Not older: 5m, 1h30m, or a moment such as 2026-01-02T03:04:05.",
    ),
    click.option("--records", is_flag=True, help="Show what the probe reports, too."),
)


def report_options(command: Command) -> Command:
    """Add what a report may be written as, and what it may be compared with."""
    file = click.Path(path_type=Path, dir_okay=False)
    folder = click.Path(path_type=Path, file_okay=False)
    for option in (
        click.option("--csv", type=folder, metavar="DIR", help="Write every number as CSV too."),
        click.option(
            "--tensorboard",
            type=folder,
            metavar="DIR",
            help="Write loss and speed as TensorBoard's event files too.",
        ),
        click.option(
            "--trace",
            type=file,
            metavar="FILE",
            help="Write the timeline as a trace too, for Perfetto and chrome://tracing.",
        ),
        click.option(
            "--compare",
            metavar="[PROJECT/]RUN_ID",
            shell_complete=run_ids,
            help="Show what differs from another run.",
        ),
        click.option(
            "--out",
            type=file,
            default=Path("report.html"),
            show_default=True,
            metavar="FILE",
            help="Where to.",
        ),
    ):
        command = option(command)
    return command


def init_options(command: Command) -> Command:
    """Add what `init` may be told instead of asking."""
    for option in reversed(
        (
            click.argument(
                "target", type=click.Path(path_type=Path), default=".", metavar="[FOLDER|FILE]"
            ),
            click.option(
                "--kind",
                type=click.Choice(["trainer", "script", "image"]),
                help="The trainer that comes along, a script of yours, or an image of yours.",
            ),
            click.option("--script", metavar="FILE", help="Your training script."),
            click.option(
                "--image", metavar="NAME", help="The image to run; left out, one is built."
            ),
            click.option(
                "--nodes", type=click.IntRange(1, 10_000), help="How many nodes. Default: 2."
            ),
            click.option(
                "--nproc-per-node", type=click.IntRange(1, 64), help="Ranks in each. Default: 1."
            ),
            click.option(
                "--gpu",
                type=click.Choice(["cpu", "shared", "exclusive", "mps", "mig"]),
                help="How nodes share the GPUs. Default: cpu.",
            ),
            click.option(
                "--name", metavar="NAME", help="Of the project. Default: that of the folder."
            ),
            click.option(
                "--from",
                "source",
                metavar="COMMANDS|FILE|-",
                help="Make it from `docker run` commands, a script of them, or a Compose file.",
            ),
            click.option("-y", "--yes", is_flag=True, help="Ask nothing, take the defaults."),
            click.option(
                "--force", is_flag=True, help="Replace files that are there, and say which."
            ),
        )
    ):
        command = option(command)
    return command
