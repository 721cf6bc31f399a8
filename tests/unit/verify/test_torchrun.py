"""What torchrun's summary tells of the ranks of its node."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from orchestrator.verify.outcome import how_it_ended
from orchestrator.verify.torchrun import RankEnd, Summary
from tests.unit.verify.story import Story

CAPTURED = """\
W1124 03:33:07.950000 19553 torch/distributed/elastic/multiprocessing/api.py:1028] Sending process\
 19623 closing signal SIGTERM
E1124 03:33:07.953000 19553 torch/distributed/elastic/multiprocessing/api.py:1002] failed\
 (exitcode: -9) local_rank: 1 (pid: 19630) of binary: python
torch.distributed.elastic.multiprocessing.errors.ChildFailedError:
=======================================================
python FAILED
-------------------------------------------------------
Failures:
[1]:
  time      : 2026-11-24_03:33:07
  host      : localhost
  rank      : 2 (local_rank: 0)
  exitcode  : {other} (pid: 19623)  (SIGTERM)
  error_file: <N/A>
  traceback : Signal 15 (SIGTERM) received by PID 19623
-------------------------------------------------------
Root Cause (first observed failure):
[0]:
  time      : 2026-11-24_03:33:07
  host      : localhost
  rank      : 3 (local_rank: 1)
  exitcode  : {first} (pid: 19630)  (SIGKILL)
  error_file: <N/A>
  traceback : Signal 9 (SIGKILL) received by PID 19630
=======================================================
"""
LOST = "[pair.cc:547] Connection closed by peer [172.18.0.3]:4711"
SUM = "rank 3 (local rank 1) was killed by signal 9"


def tell(story: Story, node: int, text: str) -> None:
    for line in text.splitlines():
        story.say(node, 5.0, line)


def test_every_rank_of_the_summary_is_read() -> None:
    summary = Summary()
    for line in CAPTURED.format(other=-15, first=-9).splitlines():
        summary.add(line, range(2, 4))
    assert summary.ends == {2: RankEnd(2, 0, -15), 3: RankEnd(3, 1, -9)}
    assert str(summary.killed) == SUM


@pytest.mark.parametrize(
    "text",
    [
        "  rank      : 7 (local_rank: 1)\n  exitcode  : -9 (pid: 1)",  # not of this node
        "  exitcode  : -9 (pid: 1)",
        "  rank      : 99999999999 (local_rank: 1)\n  exitcode  : -9 (pid: 1)",
        "my rank: 3 (local_rank: 1)\nexitcode: -9 (pid: 1)",
    ],
)
def test_what_is_no_summary_of_this_node_says_nothing(text: str) -> None:
    summary = Summary()
    for line in text.splitlines():
        summary.add(line, range(2, 4))
    assert summary.ends == {}


def test_a_rank_that_was_killed_is_named_although_its_siblings_spoke_first() -> None:
    story = Story(2, 2)
    story.fail(2, 4.0, LOST, "RuntimeError")
    tell(story, 1, CAPTURED.format(other=1, first=-9))
    story.end(1, 1)
    assert how_it_ended(story.nodes[1], story.facts) == f"exited with code 1: {SUM}"


def test_a_rank_that_says_why_is_named_with_it() -> None:
    story = Story(2, 2)
    story.fail(2, 4.0, LOST, "RuntimeError")
    story.fail(3, 4.5, "no corpus", "DataError")
    tell(story, 1, CAPTURED.format(other=1, first=1))
    story.end(1, 1)
    assert how_it_ended(story.nodes[1], story.facts) == (
        "exited with code 1: rank 3: DataError: no corpus"
    )


def test_a_rank_that_says_nothing_is_named_with_its_code() -> None:
    story = Story(2, 2)
    tell(story, 1, CAPTURED.format(other=-15, first=3).replace("rank      : 2", "rank      : 9"))
    story.end(1, 1)
    assert how_it_ended(story.nodes[1], story.facts) == (
        "exited with code 1: rank 3 (local rank 1) exited with code 3"
    )


def test_a_node_of_one_rank_is_not_asked_for_a_summary() -> None:
    story = Story(2)
    tell(story, 1, "  rank      : 1 (local_rank: 0)\n  exitcode  : -9 (pid: 1)")
    story.end(1, 137)
    assert how_it_ended(story.nodes[1], story.facts) == "was killed by signal 9 (exit code 137)"


def test_a_torchrun_that_is_missing_is_said_to_be() -> None:
    story = Story(1, 2)
    spec = replace(story.nodes[0].spec, command=("torchrun", "--no-python", "./train.sh"))
    story.facts.desired = replace(story.desired, nodes=(spec,))
    story.say(0, 1.0, "[FATAL tini (7)] exec torchrun failed: No such file or directory")
    story.end(0, 127)
    assert how_it_ended(story.nodes[0], story.facts) == (
        "exited with code 127: its command does not exist: "
        "torchrun, which starts the ranks of a node, is not in its image"
    )
