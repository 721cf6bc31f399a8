"""The command of a node that runs several ranks: torchrun around the playbook's own. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

_PYTHON = re.compile(r"(.*/)?python(\d+(\.\d+)?)?")


def under_torchrun(command: Sequence[str], options: Sequence[str]) -> tuple[str, ...]:
    """Wrap a command so that each rank of the node runs it.

    A Python program is launched by the very interpreter that it names: the torchrun that
    PATH finds may belong to another one, without torch or with another release of it.

    Args:
        command: as the playbook has it.
        options: what torchrun is told of the group.
    """
    program, *rest = command
    if not _PYTHON.fullmatch(program):
        return ("torchrun", *options, "--no-python", program, *_as_written(rest))
    launcher = (program, "-m", "torch.distributed.run", *options)
    while rest[:1] == ["-u"]:  # torchrun starts Python so by itself
        rest = rest[1:]
    if rest[:1] == ["-m"] or (rest and not rest[0].startswith("-")):
        return (*launcher, *_as_written(rest))
    return (
        *launcher,
        "--no-python",
        program,
        *_as_written(rest),
    )  # -c, -X, -W: only Python itself reads those


def _as_written(arguments: Sequence[str]) -> tuple[str, ...]:
    """Arguments that torchrun, which takes each one for a `string.Template`, hands on as they are.

    A shell's `$$` would become `$`, and `${local_rank}` a number.
    """
    return tuple(argument.replace("$", "$$") for argument in arguments)
