"""Texts of the docker command line, one test per message."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.errors import EngineUnavailable, ImageUnavailable, OrchestrateError, OutOfSpace
from orchestrator.images.command import Outcome
from orchestrator.images.failures import PullRefusal, failure, is_index_out_of_reach, pull_refusal

LEGACY = """\
Step 1/3 : FROM base:1
 ---> 4c00ed52713c
Step 2/3 : RUN pip install   torch==9
 ---> Running in 893c449da404
ERROR: Could not find a version that satisfies the requirement torch==9
ERROR: No matching distribution found for torch==9
Removing intermediate container 893c449da404
The command '/bin/sh -c pip install torch==9' returned a non-zero code: 1
"""
BUILDKIT = """\
#5 [deps 2/3] RUN pip install torch==9
#5 0.512 ERROR: No matching distribution found for torch==9
#5 ERROR: process "/bin/sh -c pip install torch==9" did not complete successfully: exit code: 1
------
 > [deps 2/3] RUN pip install torch==9:
------
Dockerfile:2
--------------------
   1 |     FROM base:1
   2 | >>> RUN pip install torch==9
--------------------
ERROR: failed to solve: process "/bin/sh -c pip" did not complete successfully: exit code: 1
"""
OLD_BUILDKIT = """\
#5 [2/2] RUN cat /none
#5 sha256:4c468db6ab443f61ddc2dd45ae20b4e95d532e526c283001ce87fa7dbd367905
#5 0.204 cat: /none: No such file or directory
#5 ERROR: executor failed running [/bin/sh -c cat /none]: exit code: 1
------
 > [2/2] RUN cat /none:
------
executor failed running [/bin/sh -c cat /none]: exit code: 1
"""
SEE = "the whole log is /c/x.log"


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        (
            LEGACY,
            ImageUnavailable,
            "building x:1 failed at `RUN pip install torch==9`: "
            f"ERROR: No matching distribution found for torch==9; {SEE}",
        ),
        (
            BUILDKIT,
            ImageUnavailable,
            "building x:1 failed at `RUN pip install torch==9`: "
            f"ERROR: No matching distribution found for torch==9; {SEE}",
        ),
        (
            OLD_BUILDKIT,
            ImageUnavailable,
            "building x:1 failed at `RUN cat /none`: cat: /none: No such file or directory; " + SEE,
        ),
        (
            "dockerfile parse error line 1: unknown instruction: FORM",
            ImageUnavailable,
            "building x:1 failed: dockerfile parse error line 1: unknown instruction: FORM; " + SEE,
        ),
        (
            "Step 1/1 : COPY . .\nwrite /var/lib/x: no space left on device",
            OutOfSpace,
            "building x:1 failed: write /var/lib/x: no space left on device; "
            f"free some space (`docker system df`); {SEE}",
        ),
        (
            "Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?",
            EngineUnavailable,
            "building x:1 failed: Cannot connect to the Docker daemon at unix:///x. "
            "Is the docker daemon running?; start the engine: docker/setup.sh",
        ),
        (
            "DEPRECATED: The legacy builder is deprecated and will be removed.",
            ImageUnavailable,
            f"building x:1 failed: it said nothing; {SEE}",
        ),
    ],
)
def test_failure(text: str, kind: type[OrchestrateError], message: str) -> None:
    error = failure("building x:1", Outcome(1, tuple(text.splitlines())), Path("/c/x.log"))

    assert (type(error), str(error)) == (kind, message)


def test_failure_by_deadline() -> None:
    error = failure("building x:1", Outcome(-15, ("slow",), timed_out=True), Path("/c/x.log"))

    assert str(error) == f"building x:1 did not end in time; last line: slow; {SEE}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("manifest for python:3.11-slm not found: manifest unknown", PullRefusal.NO_SUCH_IMAGE),
        ("pull access denied for x, repository does not exist", PullRefusal.NO_SUCH_IMAGE),
        ("invalid reference format", PullRefusal.NO_SUCH_IMAGE),
        ("dial tcp: lookup registry on 10.0.0.1:53: no such host", PullRefusal.UNREACHABLE),
        ("x509: certificate signed by unknown authority", PullRefusal.UNREACHABLE),
        ("net/http: TLS handshake timeout", PullRefusal.UNREACHABLE),
    ],
)
def test_pull_refusal(text: str, expected: PullRefusal) -> None:
    assert pull_refusal(Outcome(1, (text,))) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("WARNING: Retrying (Retry(total=4, connect=None)) after connection broken", True),
        ("ssl: CERTIFICATE_VERIFY_FAILED", True),
        ("[Errno -3] Temporary failure in name resolution", True),
        ("NewConnectionError: Failed to establish a new connection", True),
        ("ConnectTimeoutError: timed out", True),
        ("ERROR: No matching distribution found for torch==9", False),
    ],
)
def test_index_out_of_reach(text: str, expected: bool) -> None:
    assert is_index_out_of_reach(Outcome(1, (text,))) is expected
    assert not is_index_out_of_reach(Outcome(0, (text,)))


def test_a_pull_that_never_answers_is_out_of_reach() -> None:
    assert pull_refusal(Outcome(-15, (), timed_out=True)) is PullRefusal.UNREACHABLE
