"""python-on-whales with what it lacks: a deadline on every call, and errors of our types.

The one module that imports it, and only when it is first used: whoever reaches the engine over
its own socket does without, and its import costs as much as ten docker calls.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from orchestrator.engines.docker.cli import to_error
from orchestrator.errors import EngineUnavailable, OrchestrateError

if TYPE_CHECKING:
    from python_on_whales import DockerClient
    from python_on_whales.exceptions import DockerException

_ENDED_BY_TIMEOUT = frozenset({124, 137})


def make_client(prefix: Sequence[str], deadline_s: float) -> DockerClient:
    """A client for the engine that `prefix` talks to, every call of it bounded by `timeout`."""
    from python_on_whales import DockerClient

    return DockerClient(client_call=[*_deadline_prefix(deadline_s), *prefix])


def _deadline_prefix(deadline_s: float) -> list[str]:
    """`timeout` in front of docker bounds each call and keeps a Ctrl-C from reaching it.

    macOS has none unless coreutils are installed; there a call is as patient as docker.
    """
    found = shutil.which("timeout") or shutil.which("gtimeout")
    return [found, "--kill-after=1", f"{deadline_s:g}"] if found else []


@contextmanager
def typed(doing: str, *, deadline_s: float) -> Iterator[None]:
    """Turn what python-on-whales raises inside the block into our types.

    Args:
        doing: what is tried, for the message.
        deadline_s: what the client was made with.
    """
    from python_on_whales import ClientNotFoundError, DockerException

    try:
        yield
    except DockerException as exc:
        raise _mapped(exc, doing, deadline_s) from exc
    except UnicodeDecodeError as exc:
        raise to_error("docker answered with bytes that are not UTF-8", doing) from exc
    except ClientNotFoundError as exc:
        raise EngineUnavailable(
            "there is no `docker` command on this machine", fix="install Docker"
        ) from exc


def _mapped(error: DockerException, doing: str, deadline_s: float) -> OrchestrateError:
    if error.return_code in _ENDED_BY_TIMEOUT:
        return EngineUnavailable(
            f"{doing}: docker did not answer within {deadline_s:g} s",
            fix="see whether the engine is overloaded or hangs (`docker info`)",
        )
    return to_error(error.stderr or "", doing)
