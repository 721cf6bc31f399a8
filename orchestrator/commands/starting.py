"""The verb init: ask, write a playbook and what it needs, say how to go on. It prints."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import cast

import click
from msgspec import Struct
from msgspec.structs import asdict

from orchestrator.display.console import Console, print_json
from orchestrator.errors import ExitCode, InvalidPlaybook
from orchestrator.starting.answers import GPU_MODES, KINDS, Answers, Kind, draft_of
from orchestrator.starting.container import Note
from orchestrator.starting.draft import SCHEMA_FILE
from orchestrator.starting.laying import Laid, lay

FILE = "playbook.yaml"
_NO_TERMINAL = "there is no terminal to ask at"


class InitOptions(Struct, frozen=True):
    """The options of init; None and empty: not said."""

    kind: Kind | None = None
    script: str | None = None
    image: str | None = None
    nodes: int | None = None
    nproc_per_node: int | None = None
    gpu: str | None = None
    name: str | None = None
    source: str | None = None
    command: tuple[str, ...] = ()
    yes: bool = False
    force: bool = False
    as_json: bool = False


class Asking(Struct, frozen=True):
    """Finds out what was not said: at the terminal, or by taking the default."""

    is_talking: bool

    def text(self, question: str, said: str | None, default: str | None, flag: str) -> str:
        """One answer.

        Raises:
            click.UsageError: there is nobody to ask, and no default.
        """
        if said is not None:
            return said
        if self.is_talking:
            answer: str = click.prompt(question, default=default, err=True)
            return answer
        if default is None:
            raise click.UsageError(f"{_NO_TERMINAL}: give {flag}")
        return default

    def number(self, question: str, said: int | None, default: int) -> int:
        """One number, at least 1."""
        if said is not None or not self.is_talking:
            return default if said is None else said
        answer: int = click.prompt(question, default=default, type=click.IntRange(min=1), err=True)
        return answer

    def choice(self, question: str, said: str | None, among: tuple[str, ...]) -> str:
        """One of several; the first is the default."""
        if said is not None or not self.is_talking:
            return among[0] if said is None else said
        kinds = click.Choice(among)
        answer: str = click.prompt(question, default=among[0], type=kinds, err=True)
        return answer


def init_verb(target: Path, options: InitOptions) -> ExitCode:
    """Write a first playbook, and say how to go on."""
    folder, file = _place(target)
    console = Console(quiet=options.as_json)
    if options.source is not None:
        return _take_over(console, folder, file, options)
    answers = _answers(folder, file, options)
    files = _files(folder, answers)
    laid = lay(folder, files, force=options.force, check=lambda: _check(files[file], folder / file))
    _say(console, folder / file, laid)
    if options.as_json:
        print_json(_document(folder / file, laid, ()))
    return ExitCode.CONVERGED


def _take_over(console: Console, folder: Path, file: str, options: InitOptions) -> ExitCode:
    """Turn commands or a Compose file into a playbook, and say what is not in it as it was."""
    from orchestrator.playbook.schema import schema_text
    from orchestrator.starting.carried import Place, said
    from orchestrator.starting.taking import take

    text, name, base = _source(options.source or "")
    project = options.name or project_name(_stem(folder, file))
    source = "docker run" if name in {"-", "--from"} else name
    place = Place(project, file, str(folder.resolve()), str(base.resolve()), source)
    draft, notes = take(text, name, place)
    files = {SCHEMA_FILE: schema_text().encode(), file: draft.text.encode()}
    laid = lay(folder, files, force=options.force)
    for note in notes:
        console.show_lines([f"{note.weight + ':':9} {said(note)}"])
    _say(console, folder / file, laid)
    document = _document(folder / file, laid, notes)
    try:
        # What it needs may not be here: a folder that is mounted, a file of variables.
        _check(files[file], folder / file)
    except InvalidPlaybook as exc:
        if not options.as_json:
            raise
        print_json({**document, "faults": [fault.document() for fault in exc.faults]})
        return exc.exit_code
    if options.as_json:
        print_json({**document, "faults": []})
    return ExitCode.CONVERGED


def _source(given: str) -> tuple[str, str, Path]:
    """What `--from` gives: text, what faults call it, and what its paths are relative to.

    Raises:
        InvalidPlaybook: the file is no text that can be read.
        click.UsageError: it is neither a file nor a command.
    """
    from orchestrator.playbook.source import MAX_BYTES, decode, read

    if given == "-":
        data = sys.stdin.buffer.read(MAX_BYTES + 1) if sys.stdin is not None else b""
        return decode(data, "-"), "-", Path()
    path = Path(given)
    if "\n" not in given and len(given) < 4096 and path.is_file():
        name = str(path)
        is_compose = path.suffix in {".yaml", ".yml"}
        return decode(read(path, name), name), name, path.parent if is_compose else Path()
    if " " not in given.strip():
        raise click.UsageError(f"--from: there is no file {given}")
    return decode(given.encode("utf-8", "surrogateescape"), "--from"), "--from", Path()


def _place(target: Path) -> tuple[Path, str]:
    """The folder, and the playbook's name in it, that a file or folder means."""
    if target.suffix in {".yaml", ".yml"} and not target.is_dir():
        return target.parent, target.name
    return target, FILE


def project_name(text: str) -> str:
    """The nearest name that a project may have."""
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    return plain[:40].rstrip("-") or "train"


def _stem(folder: Path, file: str) -> str:
    """What the project is called after: its playbook, or its folder."""
    return folder.resolve().name if file == FILE else file.rpartition(".")[0]


def _answers(folder: Path, file: str, options: InitOptions) -> Answers:
    # A shell may have closed it: then there is no such file.
    is_talking = sys.stdin is not None and sys.stdin.isatty() and not options.yes
    asking = Asking(is_talking)
    said = options.kind or _implied_kind(options)
    if said is None and not is_talking and not options.yes:
        raise click.UsageError(
            f"{_NO_TERMINAL}: give --kind {', '.join(KINDS)}, --from, or --yes for the defaults"
        )
    kind = asking.choice("What shall run", said, KINDS)
    image = options.image or ""
    if kind == "image":
        image = asking.text("Image", options.image, None, "--image NAME")
    script = _script(folder, asking, options) if kind == "script" else ""
    command = _command(asking, options) if kind == "image" else ()
    return Answers(
        cast("Kind", kind),
        asking.text(
            "Name of the project", options.name, project_name(_stem(folder, file)), "--name"
        ),
        file,
        asking.number("Nodes", options.nodes, 2),
        asking.number("Ranks in each node", options.nproc_per_node, 1),
        asking.choice("GPU", options.gpu, GPU_MODES),
        image,
        script,
        command,
    )


def _implied_kind(options: InitOptions) -> Kind | None:
    if options.script is not None:
        return "script"
    return "image" if options.image is not None else None


def _script(folder: Path, asking: Asking, options: InitOptions) -> str:
    """The script's path as the playbook has it. It need not be there only by its default name."""
    from orchestrator.starting.shipped import STARTER

    said = asking.text("Script", options.script, STARTER, "--script FILE")
    if said == STARTER and not Path(said).exists():
        return STARTER
    if not Path(said).is_file():
        raise click.UsageError(f"there is no script {said}; leave it out for one to start from")
    relative = os.path.relpath(Path(said).resolve(), folder.resolve())
    return Path(relative).as_posix()


def _command(asking: Asking, options: InitOptions) -> tuple[str, ...]:
    import shlex

    if options.command:
        return options.command
    answer = asking.text("Command", None, None, "the command at the end: -- python train.py")
    try:
        return tuple(shlex.split(answer)) or ("true",)
    except ValueError as exc:
        raise click.UsageError(f"the command has quotes that do not end: {exc}") from exc


def _files(folder: Path, answers: Answers) -> dict[str, bytes]:
    """Everything that the playbook needs beside it, and the playbook last."""
    from orchestrator.playbook.schema import schema_text
    from orchestrator.starting.shipped import STARTER, image_files, starter_script

    files = {SCHEMA_FILE: schema_text().encode()}
    if answers.builds:
        files.update(image_files())
    if answers.script == STARTER and not (folder / STARTER).exists():
        files[STARTER] = starter_script()
    return {**files, answers.file: draft_of(answers).text.encode()}


def _check(text: bytes, path: Path) -> None:
    """See that a playbook holds. Raises InvalidPlaybook."""
    from orchestrator.playbook.loader import load_text

    load_text(text, name=str(path), folder=path.parent)


def _say(console: Console, path: Path, laid: Laid) -> None:
    for done, paths in (("wrote", laid.made), ("replaced", laid.replaced)):
        for shown in sorted({_top(path.parent, each) for each in paths}):
            console.show_lines([f"{done} {shown}"])
    console.show_lines(
        (
            "next:",
            f"  orchestrate validate {path}",
            f"  orchestrate plan {path}",
            f"  orchestrate apply {path}",
        )
    )


def _top(folder: Path, path: Path) -> str:
    """A file by its name, and one of a folder of ours by that folder."""
    inner = path.relative_to(folder).parts
    return str(folder / inner[0]) + ("/" if len(inner) > 1 else "")


def _document(path: Path, laid: Laid, notes: tuple[Note, ...]) -> dict[str, object]:
    return {
        "playbook": str(path),
        "made": list(map(str, laid.made)),
        "replaced": list(map(str, laid.replaced)),
        "notes": [asdict(note) for note in notes],
    }
