"""A few of the runs that fail, made anew on the real engine; `make diagnosis` makes all of them."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from tests.diagnosis.cases import BY_NAME
from tests.diagnosis.live import make_image, run_case
from tests.diagnosis.measured import moment

pytestmark = [pytest.mark.docker, pytest.mark.torch]

PATIENCE_S = 60.0
"""Far more than is promised (docs/diagnosis.md has what was measured): this machine may be busy."""


@pytest.fixture(scope="module", autouse=True)
def _image(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    make_image(repository, tmp_path_factory.mktemp("locks"))


@pytest.mark.parametrize("name", ["port_taken", "out_of_memory", "skips_collective"])
def test_a_run_that_fails_is_answered_rightly(name: str, tmp_path: Path) -> None:
    case, project = BY_NAME[name], f"diag-{uuid.uuid4().hex[:8]}"
    judgement, capture = run_case(case, project, tmp_path)
    found = judgement.diagnosis
    assert found is not None
    assert (found.cause in case.causes, found.rank in case.ranks) == (True, True), found.headline
    assert found.node == f"{project}-node-{found.node_rank}"
    assert found.evidence
    _, since_s = moment(judgement.run)
    assert 0 <= capture.judged_at_s - since_s < PATIENCE_S
