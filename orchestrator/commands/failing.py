"""How a command that fails says so: text for people, or one JSON document."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress

from orchestrator.display.console import Console, print_json
from orchestrator.display.excerpt import summary
from orchestrator.errors import ExitCode, InvalidPlaybook, OrchestrateError

DOCS = "ORCHESTRATE_DOCS"
"""The variable that says where the docs are: the address of the site, or a folder."""

PAGES = {
    ExitCode.NOT_CONVERGED: "diagnosis",
    ExitCode.INVALID_PLAYBOOK: "playbook",
    ExitCode.IMAGE_UNAVAILABLE: "images",
    ExitCode.GPU_UNAVAILABLE: "gpu",
    ExitCode.NOT_OWNER: "security",
    ExitCode.PLAN_REFUSED: "plan",
    ExitCode.STILL_DIFFERENT: "plan",
    ExitCode.RUN_UNREADABLE: "results",
}
"""The page that explains a kind of end; exit-codes explains the others."""

_PLAIN = frozenset(
    (ExitCode.CONVERGED, ExitCode.CHANGES_PENDING, ExitCode.USAGE, ExitCode.INTERRUPTED)
)
"""Ends that need no page."""


def page_of(code: ExitCode) -> str:
    """Where a kind of end is explained: a file of the docs, or an address of their site."""
    name, base = PAGES.get(code, "exit-codes"), os.environ.get(DOCS) or "docs"
    suffix = "html" if base.startswith(("http://", "https://")) else "md"
    return f"{base.rstrip('/')}/{name}.{suffix}"


def tell_more(code: ExitCode) -> None:
    """Say where an end is explained: to people, and to those who said where the docs are.

    In a pipe an error stays the one line that programs rest on.
    """
    if code not in _PLAIN and (sys.stderr.isatty() or os.environ.get(DOCS)):
        with suppress(OSError):
            Console().say_error(f"more: {page_of(code)}")


def tell_error(error: OrchestrateError, *, as_json: bool) -> int:
    """Say what went wrong; the exit code of its kind."""
    if not isinstance(error, InvalidPlaybook):
        return tell_failure(error.exit_code, error.what, error.fix, as_json=as_json)
    with suppress(OSError):
        if as_json:
            faults = [fault.document() for fault in error.faults]
            _print(error.exit_code, summary(error.faults), faults=faults)
        else:
            Console().say_faults(error.faults)
            tell_more(error.exit_code)
    return int(error.exit_code)


def tell_failure(code: ExitCode, what: str, fix: str = "", *, as_json: bool) -> int:
    """Say what went wrong and what to do about it; the exit code."""
    # A terminal that was closed and a full disk take no words; the code still tells.
    with suppress(OSError):
        if as_json:
            _print(code, what, fix=fix)
        else:
            Console().say_error(f"orchestrate: {what}" + (f"; {fix}" if fix else ""))
            tell_more(code)
    return int(code)


def tell_usage(message: str, verb: str, *, as_json: bool) -> int:
    """Say what is wrong with a command line, and where its words are explained.

    Args:
        message: click's; a guess is part of it: `No such option '--jsno'. Did you mean '--json'?`
        verb: the command as it was called: `orchestrate plan`.
        as_json: whether one JSON document is asked for.
    """
    what, _, guess = message.partition(". Did you mean ")
    fix = f"did you mean {guess}" if guess else f"see `{verb} --help`"
    return tell_failure(ExitCode.USAGE, what.rstrip("."), fix, as_json=as_json)


def tell_bug(exc: Exception, *, as_json: bool) -> int:
    """Keep the traceback in a file and name it: users are shown none."""
    import tempfile
    import traceback

    from orchestrator.redaction import redacted

    trace = "".join(traceback.format_exception(exc))
    with tempfile.NamedTemporaryFile(
        "w", prefix="orchestrate-bug-", suffix=".txt", delete=False, encoding="utf-8"
    ) as file:
        file.write(redacted(f"{time.asctime()}\n{sys.argv}\n{trace}"))
    what, fix = f"a bug: {type(exc).__name__}: {exc}", f"please report it with {file.name}"
    return tell_failure(ExitCode.INTERNAL, what, fix, as_json=as_json)


def _print(code: ExitCode, what: str, **more: object) -> None:
    document = {"kind": code.name.lower(), "exit_code": int(code), "what": what, **more}
    print_json({"error": document})
    sys.stdout.flush()
