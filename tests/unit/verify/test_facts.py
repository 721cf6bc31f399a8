"""Folding logs into facts: bounded, whatever nodes print, and true to where a line came from."""

from __future__ import annotations

from collections import deque

import pytest

from orchestrator.loglines import LINE_BYTES, LogEnd
from orchestrator.state.observed import NodeStatus
from orchestrator.verify.facts import Impostor, last_start_s
from orchestrator.verify.outcome import how_it_ended
from orchestrator.verify.rank_facts import Phase, RankFacts
from tests.unit.verify.story import RUN_ID, START_S, Story


def test_steps_are_folded_into_a_few_numbers() -> None:
    story = Story(1, milestone=2)
    story.join(0, 1.0)
    for number, at_s, loss in ((1, 2.0, 4.0), (2, 5.0, 3.0), (3, 6.0, 2.0)):
        story.step(0, number, at_s, loss)
    story.finish(0, 7.0)
    facts = story.facts.ranks[0]
    assert facts == RankFacts(
        script_joins=facts.script_joins,
        phases={Phase.JOINED: START_S + 1.0},
        first_step_at_s=START_S + 2.0,
        losses={1: 4.0, 2: 3.0, 3: 2.0},
        last_step=3,
        last_step_at_s=START_S + 6.0,
        milestone_at_s=START_S + 5.0,
        longest_gap_s=3.0,
        longest_gap_before=2,
        num_losses=3,
        first_losses=[4.0, 3.0, 2.0],
        last_losses=deque([4.0, 3.0, 2.0], maxlen=5),
        has_finished=True,
    )
    assert facts.joined_at_s == START_S + 1.0


def test_a_long_run_takes_no_more_memory_than_a_short_one() -> None:
    story = Story(1)
    for number in range(1, 1001):
        story.step(0, number, float(number), 1.0 + 1 / number)
    facts = story.facts.ranks[0]
    kept = (len(facts.first_losses), len(facts.last_losses), len(story.facts.nodes[0].tail))
    assert kept == (5, 5, 15)
    assert (facts.last_step, facts.num_losses) == (1000, 1000)


def test_the_tail_is_the_last_lines_cut_and_decoded() -> None:
    story = Story()
    for number in range(20):
        story.say(1, 1.0, f"line {number}")
    story.say(1, 1.0, b"\xff" + b"x" * 1000)
    tail = list(story.facts.nodes[1].tail)
    assert tail == [*(f"line {number}" for number in range(6, 20)), "\ufffd" + "x" * 399]
    assert list(story.facts.nodes[0].tail) == []


@pytest.mark.parametrize(
    ("reason", "error_type", "told"),
    [
        ("boom", "ValueError", "ValueError: boom"),
        ("boom", "", "boom"),
        ("first\nsecond", "", "first"),
        ("\n  second", "", "second"),
        ("", "ValueError", "ValueError:"),
        ("", "", "it gave no reason"),
        ("\n\r\n ", "", "it gave no reason"),
        ("x" * 9000, "", "x" * 500),
    ],
)
def test_the_reason_of_a_failure_is_one_line(reason: str, error_type: str, told: str) -> None:
    story = Story()
    story.fail(1, 1.0, reason, error_type)
    assert story.facts.ranks[1].failure == told


def test_the_first_reason_is_kept() -> None:
    story = Story()
    story.fail(1, 1.0, "the cause")
    story.fail(1, 2.0, "what came of it")
    story.end(1, 1)
    assert how_it_ended(story.nodes[1], story.facts) == "exited with code 1: the cause"


def test_any_rank_of_a_node_can_say_why_it_ended() -> None:
    story = Story(2, 2)
    story.fail(3, 1.0, "of rank 3")
    story.end(1, 1)
    story.end(0, 1)
    words = [how_it_ended(story.nodes[node], story.facts) for node in (0, 1)]
    assert words == ["exited with code 1", "exited with code 1: rank 3: of rank 3"]


def test_impostors_are_kept_once_each_and_bounded() -> None:
    story = Story(2)
    for rank in (1, 1, 1, 2, 3, 4, 5, 6, 7):
        story.join(rank, node=0)
    foreign = "which is not this node's"
    assert story.facts.nodes[0].impostors == [
        Impostor(rank, "process_group_joined", f"rank {rank}, {foreign}")
        for rank in (1, 2, 3, 4, 5)
    ]
    assert (story.facts.claimants(1), story.facts.claimants(0)) == ((0,), ())
    assert story.facts.ranks[1] == RankFacts()


def test_a_step_of_another_run_does_not_count() -> None:
    story = Story(1)
    story.say(0, 1.0, f'{{"event": "step", "rank": 0, "run_id": "{RUN_ID}x", "step": 5}}')
    assert story.facts.ranks[0] == RankFacts()


def test_a_log_that_has_ended() -> None:
    story = Story()
    story.facts.add(LogEnd(1))
    story.facts.add(LogEnd(9))
    assert [story.facts.nodes[node].has_ended for node in (0, 1)] == [False, True]
    story.facts.finish()
    assert [story.facts.nodes[node].has_ended for node in (0, 1)] == [True, True]


def test_a_run_has_ended_when_nothing_runs_and_every_log_is_complete() -> None:
    story = Story()
    story.end(0, 0)
    story.stand(1, status=NodeStatus.EXITED, exit_code=0)
    before = story.at(1.0).has_ended
    story.facts.add(LogEnd(1))
    assert (before, story.at(1.0).has_ended) == (False, True)


def test_the_last_start_is_that_of_the_last_node() -> None:
    story = Story()
    story.stand(1, started_at_s=START_S + 3)
    nodes = tuple(story.nodes.values())
    story.stand(0, started_at_s=None)
    unstarted = (story.nodes[0],)
    assert (last_start_s(nodes), last_start_s(unstarted), last_start_s(())) == (START_S + 3, 0, 0)


def test_records_of_the_probe_are_folded_and_are_no_last_words() -> None:
    story = Story(1)
    head = f'"rank": 0, "run_id": "{RUN_ID}", "source": "probe"'
    story.say(0, 1.0, f'loading\x1e{{"event": "torch_imported", {head}}}')
    story.say(0, 2.0, f'\x1e{{"event": "step", "step": 1, "times_s": [0.5], {head}}}')
    story.say(0, 3.0, "done")
    facts = story.facts.ranks[0]
    assert (facts.phases, facts.last_step) == ({Phase.TORCH: START_S + 1.0}, 1)
    assert list(story.facts.nodes[0].tail) == ["loading", "done"]


def test_steps_that_were_summed_up_are_taken_in_one_by_one() -> None:
    story = Story(1)
    story.probe(0, 2.0, "step", step=1, times_us=[])
    story.probe(0, 2.5, "step", step=3, times_us=[250_000, 125_000], busy_share=0.5)
    story.probe(0, 3.0, "step", step=4, times_us=[500_000], busy_share=0.25)
    facts = story.facts.ranks[0]
    assert list(facts.step_times_s.latest) == [0.25, 0.125, 0.5]
    assert list(facts.busy_s.latest) == [0.125, 0.0625, 0.125]
    assert (facts.last_step, facts.last_step_at_s) == (4, START_S + 3.0)


def test_a_record_that_ends_a_log_just_where_it_is_cut_counts() -> None:
    story = Story(1)
    record = f'\x1e{{"event": "torch_imported", "rank": 0, "run_id": "{RUN_ID}"}}'.encode()
    story.say(0, 2.0, b"x" * (LINE_BYTES - len(record)) + record)
    assert story.facts.ranks[0].phases == {}
    story.facts.add(LogEnd(0))
    assert story.facts.ranks[0].phases == {Phase.TORCH: START_S + 2.0}


def test_the_stacks_of_a_stall_are_kept_until_it_is_got_over() -> None:
    story = Story(1)
    story.probe(0, 1.0, "stacks", threads={"MainThread": ["import torch"]})
    story.step(0, 1, 2.0)
    facts = story.facts.ranks[0]
    assert (facts.stacks, facts.stacks_at_s) == (None, None)
    for at_s, frame in ((9.0, "all_reduce"), (10.0, "later")):
        story.probe(0, at_s, "stacks", threads={"MainThread": [frame]})
    assert facts.stacks is not None
    assert (facts.stacks.threads, facts.stacks_at_s) == (
        {"MainThread": ("all_reduce",)},
        START_S + 9.0,
    )


def test_a_rank_that_tries_again_is_taken_at_its_latest_word() -> None:
    story = Story(1)
    for addr in ("localhost", "pair-node-0"):
        story.probe(0, 1.0, "rendezvous_started", master_addr=addr)
    view = story.facts.ranks[0].rendezvous
    assert view is not None
    assert view.master_addr == "pair-node-0"
