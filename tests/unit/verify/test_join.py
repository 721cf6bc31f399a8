"""The proof of the join: which reports make it, and the whole result for each that does not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from orchestrator.loglines import LogLine
from orchestrator.playbook.models import Joined
from orchestrator.verify.checks import CheckResult, Finding, Status, check_joined
from orchestrator.verify.rank_facts import RankFacts
from tests.unit.verify.story import RUN_ID, Story

CHECK = Joined(within_s=60.0)
WITHIN = "process_group_joined within 60 s"


def joined(story: Story, now_s: float = 5.0) -> CheckResult:
    return check_joined(CHECK, story.at(now_s))


def failed(why: str, *findings: Finding) -> CheckResult:
    return CheckResult("joined", Status.FAILED, why, findings)


ONE_OF_TWO = "1 of 2 ranks did not join"


def test_all_joined() -> None:
    story = Story()
    story.join(0, 1.0)
    story.join(1, 2.5)
    assert joined(story) == CheckResult("joined", Status.OK, "2 ranks after 2.5 s")


def test_one_rank_alone_joins() -> None:
    story = Story(1)
    story.join(0, 0.25)
    assert joined(story) == CheckResult("joined", Status.OK, "1 rank after 0.2 s")


def test_several_ranks_a_node_join() -> None:
    story = Story(2, 3)
    story.join_all(4.0)
    assert joined(story) == CheckResult("joined", Status.OK, "6 ranks after 4.0 s")


def test_it_stays_joined_after_the_deadline() -> None:
    story = Story()
    story.join_all(60.0)
    story.end(0, 1)
    assert joined(story, 1000.0) == CheckResult("joined", Status.OK, "2 ranks after 60.0 s")


def test_missing_before_the_deadline_is_pending() -> None:
    story = Story()
    story.join(1)
    assert joined(story, 60.0) == CheckResult("joined", Status.PENDING, "1 of 2 ranks")


def test_missing_after_the_deadline_fails() -> None:
    story = Story()
    story.join(0)
    assert joined(story, 60.1) == failed(ONE_OF_TWO, Finding(1, 1, WITHIN, "nothing"))


def test_nobody_joined() -> None:
    assert joined(Story(), 61.0) == failed(
        "2 of 2 ranks did not join",
        Finding(0, 0, WITHIN, "nothing"),
        Finding(1, 1, WITHIN, "nothing"),
    )


def test_a_late_join_fails() -> None:
    story = Story()
    story.join(0)
    story.join(1, 61.5)
    assert joined(story, 62.0) == failed(
        ONE_OF_TWO, Finding(1, 1, "a report by the deadline", "one 1.5 s after it")
    )


def test_a_node_that_ended_before_the_join_fails_at_once() -> None:
    story = Story()
    story.join(0)
    story.fail(1, 2.0, "no such file: data.jsonl\nmore", "DataError")
    story.end(1, 3)
    assert joined(story) == failed(
        ONE_OF_TWO,
        Finding(
            1, 1, WITHIN, "nothing; it exited with code 3: DataError: no such file: data.jsonl"
        ),
    )


def test_a_report_given_twice() -> None:
    story = Story()
    story.join_all()
    story.join(1, 1.5)
    assert joined(story) == failed(ONE_OF_TWO, Finding(1, 1, "one report", "2 reports"))


def test_a_report_given_a_thousand_times_is_counted_in_bounded_memory() -> None:
    story = Story()
    story.join_all()
    for _ in range(999):
        story.join(0)
    assert joined(story) == failed(ONE_OF_TWO, Finding(0, 0, "one report", "1000 reports"))
    assert len(story.facts.ranks[0].joins) == 3


WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "world size too small": ({"world_size": 1}, "world_size 2", "world_size 1"),
    "world size too large": ({"world_size": 3}, "world_size 2", "world_size 3"),
    "sum": ({"rank_sum": 0}, "rank_sum 1", "rank_sum 0"),
    "address": (
        {"master_addr": "localhost"},
        "master_addr pair-node-0",
        "master_addr localhost",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_report_of_another_group(name: str) -> None:
    said, expected, found = WRONG[name]
    story = Story()
    story.join(0)
    story.join(1, **said)
    assert joined(story) == failed(ONE_OF_TWO, Finding(1, 1, expected, found))


def test_a_backend_unlike_the_others() -> None:
    story = Story(3)
    story.join(0)
    story.join(1, backend="nccl")
    story.join(2)
    assert joined(story) == failed(
        "1 of 3 ranks did not join",
        Finding(1, 1, "backend gloo, as the others", "backend nccl"),
    )


def test_ranks_that_met_others_are_in_another_group() -> None:
    story = Story(3)
    for rank, peers in enumerate(("aa", "bb", "bb")):
        story.join(rank, source="probe", peers=peers)
    assert joined(story) == failed(
        "1 of 3 ranks did not join",
        Finding(0, 0, "peers bb, as the others", "peers aa: it is in another group"),
    )


def test_ranks_that_say_nothing_of_their_peers_are_not_compared() -> None:
    story = Story()
    story.join(0, source="probe", peers="aa")
    story.join(1)
    assert joined(story).status is Status.OK


def test_two_nodes_cannot_be_one_host() -> None:
    story = Story(2, 2)
    for rank in range(4):
        story.join(
            rank, hostname=("pair-node-0", "pair-node-0", "pair-node-1", "pair-node-0")[rank]
        )
    own = "a host of its own"
    assert joined(story) == failed(
        "3 of 4 ranks did not join",
        Finding(0, 0, own, "pair-node-0, as rank 3 has"),
        Finding(0, 1, own, "pair-node-0, as rank 3 has"),
        Finding(1, 3, own, "pair-node-0, as rank 0 has"),
    )


def test_nodes_that_share_the_machine_share_its_name() -> None:
    story = Story()
    story.facts.desired = replace(story.desired, network=None)
    for rank in (0, 1):
        story.join(rank, hostname="workstation")
    assert joined(story).status is Status.OK


def test_the_probe_and_the_script_may_both_tell_of_one_join() -> None:
    story = Story()
    for rank in (0, 1):
        story.join(rank, 1.0, source="probe", pid=7)
        story.join(rank, 1.5)
    assert joined(story) == CheckResult("joined", Status.OK, "2 ranks after 1.0 s")


def test_the_probe_of_two_processes_that_are_one_rank_tells_of_two_joins() -> None:
    story = Story()
    story.join_all()
    for pid in (7, 8):
        story.join(1, 1.0, source="probe", pid=pid)
    assert joined(story) == failed(ONE_OF_TWO, Finding(1, 1, "one report", "2 reports"))


def test_what_torchrun_itself_reports_is_no_ranks() -> None:
    story = Story(1, 2)
    for event, said in (
        ("interpreter_started", {}),
        ("torch_imported", {}),
        ("rank_failed", REASON),
    ):
        fields = {"event": event, "run_id": RUN_ID, "source": "probe", "pid": 6, "rank": None}
        story.say(0, 1.0, "\x1e" + json.dumps(fields | said))
    assert [facts == RankFacts() for facts in story.facts.ranks.values()] == [True, True]
    story.join_all(2.0)
    assert joined(story) == CheckResult("joined", Status.OK, "2 ranks after 2.0 s")


VIEW: dict[str, Any] = {"master_addr": "pair-node-0", "world_size": 2}

VIEWS: list[tuple[dict[str, Any], tuple[str, str] | None]] = [
    ({}, None),
    ({"world_size": None}, None),
    ({"master_addr": ""}, None),
    ({"world_size": 3}, ("world_size 2", "a rendezvous for world_size 3")),
    (
        {"master_addr": "localhost"},
        ("master_addr pair-node-0", "a rendezvous at master_addr localhost"),
    ),
]


@pytest.mark.parametrize(("view", "fault"), VIEWS)
def test_a_rendezvous_that_can_come_to_no_good_fails_at_once(
    view: dict[str, Any], fault: tuple[str, str] | None
) -> None:
    story = Story()
    story.probe(0, 1.0, "rendezvous_started", **VIEW)
    story.probe(1, 1.0, "rendezvous_started", **VIEW | view)
    pending = CheckResult("joined", Status.PENDING, "0 of 2 ranks")
    assert joined(story) == (failed(ONE_OF_TWO, Finding(1, 1, *fault)) if fault else pending)


def test_what_a_rank_asked_for_is_no_matter_once_it_has_joined_as_it_should() -> None:
    story = Story()
    story.probe(1, 1.0, "rendezvous_started", **VIEW | {"world_size": 3})
    story.join_all(2.0)
    assert joined(story) == CheckResult("joined", Status.OK, "2 ranks after 2.0 s")


REASON = {"reason": "a child failed", "error_type": "ChildFailedError"}


def test_every_rank_on_the_gpu_it_was_given() -> None:
    exclusive = Story(gpus=(("GPU-a",), ("GPU-b",)))
    exclusive.join(0, gpu="GPU-a")
    exclusive.join(1, gpu="GPU-b")
    shared = Story(gpus=(("GPU-a",), ("GPU-a",)))
    shared.join(0, gpu="GPU-a")
    shared.join(1, gpu="GPU-a")
    silent = Story(gpus=(("GPU-a",), ("GPU-b",)))
    silent.join(0, gpu=None)
    silent.join(1)
    for story in (exclusive, shared, silent):
        assert joined(story).status is Status.OK


def test_a_gpu_that_the_node_was_not_given() -> None:
    story = Story(gpus=(("GPU-a",), ("GPU-b", "GPU-c")))
    story.join(0, gpu="GPU-a")
    story.join(1, gpu="GPU-a")
    assert joined(story) == failed(
        "1 of 2 ranks did not join",
        Finding(1, 1, "gpu GPU-b or GPU-c", "gpu GPU-a, which is node 0's"),
    )


def test_two_ranks_of_a_node_on_one_gpu() -> None:
    story = Story(2, 2, gpus=(("GPU-a", "GPU-b"), ("GPU-c", "GPU-d")))
    for rank, uuid in enumerate(("GPU-a", "GPU-a", "GPU-c", "GPU-d")):
        story.join(rank, gpu=uuid)
    assert joined(story) == failed(
        "2 of 4 ranks did not join",
        Finding(0, 0, "a gpu of its own", "gpu GPU-a, as rank 1 has"),
        Finding(0, 1, "a gpu of its own", "gpu GPU-a, as rank 0 has"),
    )


def test_a_gpu_that_is_only_known_once_a_rank_steps() -> None:
    story = Story(gpus=(("nvidia.com/gpu=MIG-a",), ("nvidia.com/gpu=MIG-b",)))
    story.join_all()
    assert joined(story).status is Status.OK
    story.probe(0, 2.0, "gpu_used", gpu="MIG-a")
    assert joined(story).status is Status.OK
    story.probe(1, 2.0, "gpu_used", gpu="MIG-a")
    assert joined(story) == failed(
        "1 of 2 ranks did not join",
        Finding(1, 1, "gpu MIG-b", "gpu MIG-a, which is node 0's"),
    )


def test_what_a_rank_used_goes_over_what_it_said_as_it_joined() -> None:
    story = Story(1, 2, gpus=(("GPU-a", "GPU-b"),))
    for rank in (0, 1):
        story.join(rank, gpu="GPU-a")
    story.probe(1, 2.0, "gpu_used", gpu="GPU-b")
    assert joined(story).status is Status.OK


def test_what_the_script_says_of_its_gpu_counts_where_the_probe_cannot_tell() -> None:
    story = Story(gpus=(("GPU-a",), ("GPU-b",)))
    for rank in (0, 1):
        story.probe(rank, 1.0, "process_group_joined", **story.said_of_a_join(), gpu=None)
        story.join(rank, gpu="GPU-a")
    found = Finding(1, 1, "gpu GPU-b", "gpu GPU-a, which is node 0's")
    assert joined(story).findings == (found,)


def test_a_gpu_that_no_node_was_given() -> None:
    story = Story(gpus=(("GPU-a",), ("GPU-a",)))
    story.join(0, gpu="GPU-a")
    story.join(1, gpu="GPU-z")
    assert joined(story).findings == (Finding(1, 1, "gpu GPU-a", "gpu GPU-z"),)


def test_what_is_wrong_is_told_of_every_rank() -> None:
    story = Story(3)
    story.join(0, rank_sum=1)
    story.join(1, world_size=2)
    story.join(2)
    assert joined(story) == failed(
        "2 of 3 ranks did not join",
        Finding(0, 0, "rank_sum 3", "rank_sum 1"),
        Finding(1, 1, "world_size 3", "world_size 2"),
    )


def test_an_impostor_does_not_stand_in_for_a_rank_and_is_named() -> None:
    story = Story()
    story.join(0)
    story.join(1, node=0)
    assert joined(story, 61.0) == failed(
        ONE_OF_TWO,
        Finding(1, 1, WITHIN, "nothing; node 0 claims to be this rank"),
    )


def test_a_node_that_takes_itself_for_another_is_told_so() -> None:
    story = Story()
    story.join(0)
    story.join(0, node=1)
    assert joined(story, 61.0) == failed(
        ONE_OF_TWO,
        Finding(1, 1, WITHIN, "process_group_joined of rank 0, which is not this node's"),
    )


def test_a_replayed_report_of_an_earlier_run_is_not_believed() -> None:
    story = Story()
    story.join(0)
    story.join(1, run_id="run-0")
    assert joined(story, 61.0) == failed(
        ONE_OF_TWO,
        Finding(1, 1, WITHIN, "process_group_joined of run run-0, which is not this one"),
    )


def test_a_report_without_a_run_is_not_believed() -> None:
    story = Story()
    story.join(0)
    story.join(1, run_id=None)
    assert joined(story, 61.0) == failed(
        ONE_OF_TWO,
        Finding(1, 1, WITHIN, "process_group_joined of run (none), which is not this one"),
    )


def test_a_long_run_id_is_shown_in_part() -> None:
    story = Story(1)
    story.join(0, run_id="x" * 4000)
    assert joined(story, 61.0).findings == (
        Finding(0, 0, WITHIN, f"process_group_joined of run {'x' * 100}, which is not this one"),
    )


def test_an_unknown_node_cannot_report() -> None:
    story = Story()
    story.join(0)
    story.join(1, node=7)
    assert joined(story, 61.0) == failed(ONE_OF_TWO, Finding(1, 1, WITHIN, "nothing"))


def honest_line(rank: int) -> str:
    fields = {
        "event": "process_group_joined",
        "rank": rank,
        "run_id": RUN_ID,
        "world_size": 2,
        "backend": "gloo",
        "master_addr": "pair-node-0",
        "rank_sum": 1,
    }
    return json.dumps(fields)


HONEST = honest_line(1)
FORGERIES: dict[str, str | bytes] = {
    "rank as text": HONEST.replace('"rank": 1', '"rank": "1"'),
    "rank as a float": HONEST.replace('"rank": 1', '"rank": 1.0'),
    "rank as true": HONEST.replace('"rank": 1', '"rank": true'),
    "rank given twice": HONEST.replace('"rank": 1', '"rank": 0, "rank": 1'),
    "event escaped in a string": json.dumps({"message": HONEST}),
    "in a list": f"[{HONEST}]",
    "after a prompt": f"[rank1]: {HONEST}",
    "before other text": f"{HONEST} ok",
    "two on a line": HONEST * 2,
    "another event": HONEST.replace("process_group_joined", "process_group_joining"),
    "of another run": HONEST.replace(RUN_ID, "run-2"),
    "of no run": HONEST.replace(f'"run_id": "{RUN_ID}", ', ""),
    "of another rank": honest_line(0),
    "of a rank beyond the world": honest_line(2),
    "in UTF-16": HONEST.encode("utf-16-le"),
    "padded beyond the bound": HONEST + " " * 16_384,
    "with NaN": HONEST.replace("}", ', "x": NaN}'),
    "wrong sum": HONEST.replace('"rank_sum": 1', '"rank_sum": 2'),
    "sum as text": HONEST.replace('"rank_sum": 1', '"rank_sum": "1"'),
    "wrong world": HONEST.replace('"world_size": 2', '"world_size": 1'),
    "loopback": HONEST.replace("pair-node-0", "127.0.0.1"),
    "a truncated one": HONEST[:-1],
    "NUL within": HONEST.encode().replace(b"1}", b"1\x00}"),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_no_forgery_is_a_join(name: str) -> None:
    story = Story()
    story.join(0)
    story.say(1, 1.0, FORGERIES[name])
    assert joined(story, 61.0).status is Status.FAILED


def test_the_line_that_the_forgeries_are_made_from_is_a_join() -> None:
    story = Story()
    story.join(0)
    story.say(1, 1.0, HONEST)
    assert joined(story) == CheckResult("joined", Status.OK, "2 ranks after 1.0 s")


def test_a_piece_of_a_longer_line_is_no_record() -> None:

    story = Story()
    story.join(0)
    story.facts.add(LogLine(1, 1001.0, HONEST.encode(), continued=True))
    assert joined(story, 61.0) == failed(ONE_OF_TWO, Finding(1, 1, WITHIN, "nothing"))


Report = tuple[int, int, str, int, int]
reports = st.tuples(
    st.integers(0, 2),
    st.integers(0, 3),
    st.sampled_from([RUN_ID, RUN_ID, RUN_ID, "run-0"]),
    st.sampled_from([3, 3, 3, 2]),
    st.sampled_from([3, 3, 3, 1]),
)


@given(st.lists(reports, max_size=6))
def test_joined_holds_only_for_one_right_report_of_each_rank(said: list[Report]) -> None:
    story = Story(3)
    for node, rank, run_id, world_size, rank_sum in said:
        story.join(rank, node=node, run_id=run_id, world_size=world_size, rank_sum=rank_sum)
    believed = sorted(each for each in said if each[0] == each[1] and each[2] == RUN_ID)
    right = [(rank, rank, RUN_ID, 3, 3) for rank in range(3)]
    assert (joined(story).status is Status.OK) == (believed == right)
