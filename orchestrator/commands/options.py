"""Arguments and options that verbs have in common, and how a verb's help ends. Parses, no more."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from orchestrator.choose import EngineName
from orchestrator.commands.completing import playbook_files, run_ids
from orchestrator.commands.examples import EXAMPLES

if TYPE_CHECKING:
    from orchestrator.playbook.given import Given

Command = TypeVar("Command", bound=Callable[..., Any])


class Verb(click.Command):
    """A verb whose help ends with commands to copy."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples of this verb."""
        with formatter.section("Examples"):
            for command, purpose in EXAMPLES[self.name or ""]:
                formatter.write(f"  {command}" + (f"  # {purpose}" if purpose else "") + "\n")
        super().format_epilog(ctx, formatter)


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
