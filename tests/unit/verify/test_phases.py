"""The way into the group: where a rank stopped, and what took long when it did not."""

from __future__ import annotations

import pytest

from orchestrator.playbook.models import Joined
from orchestrator.verify.checks import evaluate
from orchestrator.verify.phases import ways
from tests.unit.verify.story import START_S, Story

VIEW = {"master_addr": "pair-node-0", "master_port": "29500", "world_size": 2}
NO_NAME = {"addresses": [], "error": "Name or service not known"}

WAY: tuple[tuple[str, float, dict[str, object]], ...] = (
    ("interpreter_started", 0.25, {}),
    ("torch_imported", 1.75, {}),
    ("rendezvous_started", 2.0, VIEW),
    ("name_resolved", 2.01, {"addresses": ["10.0.0.2"]}),
    ("master_reached", 2.02, {}),
    ("store_joined", 3.0, {}),
)


def walk(story: Story, rank: int, num_phases: int, late_s: float = 0.0) -> None:
    """A rank goes so far."""
    for event, at_s, said in WAY[:num_phases]:
        own = said | {"world_size": story.desired.world_size} if said is VIEW else said
        story.probe(rank, at_s + late_s, event, **own)


def joined(story: Story, now_s: float) -> tuple[str, str]:
    """The check's status and reason, or what was found of rank 1."""
    result = evaluate((Joined(within_s=60.0),), story.at(now_s))[1]
    found = [finding.found for finding in result.findings if finding.rank == 1]
    return result.status.value, found[0] if found else result.why


STOPPED = [
    (0, "nothing"),
    (1, "Python started, torch not imported"),
    (2, "torch imported, init_process_group never called"),
    (3, "rendezvous started, pair-node-0 port 29500 not reached"),
    (4, "name resolved, no connection to pair-node-0 port 29500"),
    (5, "master reached, store not joined: 2 of 2 ranks are connected"),
    (6, "store joined, the collective over all ranks not ended"),
]


@pytest.mark.parametrize(("num_phases", "found"), STOPPED)
def test_a_rank_that_does_not_join_is_told_by_its_phase(num_phases: int, found: str) -> None:
    story = Story()
    walk(story, 0, 5)
    walk(story, 1, num_phases)
    assert joined(story, 60.1) == ("failed", found)
    story.end(1, 1)
    told = f"{found}; it exited with code 1"
    assert joined(story, 10.0) == ("failed", told)


def test_a_name_that_does_not_resolve_is_told_with_the_reason_until_it_does() -> None:
    story = Story()
    walk(story, 1, 3)
    story.probe(1, 2.1, "name_resolved", **NO_NAME)
    never = "rendezvous started, pair-node-0 does not resolve (Name or service not known)"
    assert joined(story, 60.1) == ("failed", never)
    story.probe(1, 3.0, "name_resolved", addresses=["10.0.0.2"])
    assert joined(story, 60.1)[1] == "name resolved, no connection to pair-node-0 port 29500"


def test_who_is_connected_is_counted() -> None:
    story = Story(3)
    walk(story, 0, 2)
    walk(story, 1, 5)
    walk(story, 2, 4)
    assert joined(story, 60.1)[1] == "master reached, store not joined: 1 of 3 ranks are connected"


def test_a_join_that_holds_says_what_took_long_of_the_last_rank() -> None:
    story = Story()
    for rank in (0, 1):
        walk(story, rank, 6, late_s=rank * 0.5)
        story.join(rank, 3.1 + rank * 0.5, source="probe")
    slowest = "rank 1: import torch 1.5 s, wait for peers 1.0 s"
    assert joined(story, 5.0) == ("ok", f"2 ranks after 3.6 s ({slowest})")


def test_without_the_probe_nothing_is_known_of_the_way() -> None:
    story = Story()
    story.join_all(2.0)
    assert joined(story, 5.0) == ("ok", "2 ranks after 2.0 s")


def test_a_quick_join_has_no_slow_phase() -> None:
    story = Story(1)
    story.probe(0, 0.05, "torch_imported")
    story.join(0, 0.1, source="probe")
    assert joined(story, 5.0) == ("ok", "1 rank after 0.1 s")


def test_the_way_counts_from_the_start_of_the_ranks_own_node() -> None:
    story = Story()
    story.stand(0, created_at_s=START_S - 0.125)
    story.stand(1, started_at_s=START_S + 0.5)
    walk(story, 0, 6)
    story.join(0, 3.5, source="probe")
    walk(story, 1, 2)
    first, second = (way.document() for way in ways(story.at(5.0)))
    assert first == {
        "rank": 0,
        "node_rank": 0,
        "created": -0.125,
        "started": 0.0,
        "interpreter": 0.25,
        "torch": 1.75,
        "rendezvous": 2.0,
        "resolved": 2.01,
        "reached": 2.02,
        "store": 3.0,
        "joined": 3.5,
    }
    assert second == dict.fromkeys(first) | {
        "rank": 1,
        "node_rank": 1,
        "started": 0.0,
        "interpreter": -0.25,
        "torch": 1.25,
    }


def test_a_node_that_was_never_started_has_no_way() -> None:
    story = Story()
    story.stand(1, started_at_s=None)
    assert [way.rank for way in ways(story.at(1.0))] == [0]
