"""The checks `http` and `tcp`: what nodes answered, and when first."""

from __future__ import annotations

from orchestrator.playbook.health import Http, Joined, Tcp
from orchestrator.state.observed import NodeStatus
from orchestrator.verify.answers import Answer, Question, questions
from orchestrator.verify.checks import CheckResult, Finding, check_port
from tests.unit.verify.results import failed, ok, pending
from tests.unit.verify.story import START_S, Story

HEALTH = Http(port=8000, path="/health", within_s=60.0)
OPEN = Tcp(port=29500, node=1, within_s=60.0)
ASKED = "status 200 of GET :8000/health"


def answer(story: Story, node_rank: int, at_s: float, said: str, kind: str = "http") -> None:
    story.facts.add_answer(Answer(kind, node_rank, START_S + at_s, said))


def of(num_nodes: int = 2) -> Story:
    story = Story(num_nodes)
    for node_rank in range(num_nodes):
        story.stand(node_rank, address=f"10.0.0.{node_rank}")
    return story


def health(story: Story, now_s: float = 5.0) -> CheckResult:
    return check_port(HEALTH, story.at(now_s))


def test_nodes_that_answer_as_they_should() -> None:
    story = of()
    answer(story, 0, 1.0, "connection refused")
    answer(story, 0, 2.0, "200")
    answer(story, 1, 3.5, "200")
    assert health(story, 500.0) == ok("http", f"{ASKED} answered by 2 nodes after 3.5 s")


def test_nodes_that_may_yet_answer() -> None:
    story = of()
    answer(story, 0, 2.0, "200")
    answer(story, 1, 2.0, "503")
    assert health(story, 60.0) == pending("http", f"{ASKED} answered by 1 of 2 nodes")


def test_nodes_that_answer_otherwise_late_or_not() -> None:
    story = of(4)
    story.stand(3, address="")
    answer(story, 0, 2.0, "503")
    answer(story, 1, 60.5, "200")
    assert health(story, 61.0) == failed(
        "http",
        f"{ASKED} answered by 0 of 4 nodes",
        Finding(0, None, f"{ASKED} within 60 s", "status 503"),
        Finding(1, None, f"{ASKED} within 60 s", "status 200"),
        Finding(2, None, f"{ASKED} within 60 s", "it was not asked"),
        Finding(3, None, f"{ASKED} within 60 s", "its engine gives it no address to be asked at"),
    )


def test_a_node_that_ends_before_it_has_answered_fails_at_once() -> None:
    story = of()
    answer(story, 0, 2.0, "200")
    answer(story, 1, 2.0, "connection refused")
    story.end(0, 0)
    assert health(story).status == "pending"
    story.end(1, 0)
    ended = "connection refused, and then it ended"
    assert health(story) == failed(
        "http",
        f"{ASKED} answered by 1 of 2 nodes",
        Finding(1, None, f"{ASKED} within 60 s", ended),
    )
    story.vanish(1)
    assert health(story).findings == (Finding(1, None, f"{ASKED} within 60 s", "is gone"),)


def test_one_node_alone_may_be_asked_and_each_check_has_its_own_answers() -> None:
    story = of()
    answer(story, 1, 2.0, "open", "http")
    assert check_port(OPEN, story.at(5.0)) == pending("tcp", "port 29500 answered by 0 of 1 node")
    answer(story, 1, 2.0, "open", "tcp")
    assert check_port(OPEN, story.at(5.0)) == ok("tcp", "port 29500 answered by 1 node after 2.0 s")


def test_what_is_asked_of_whom() -> None:
    story = of(3)
    story.stand(0, status=NodeStatus.EXITED, exit_code=0)
    story.stand(2, address="")
    nodes = tuple(story.nodes.values())
    assert questions((Joined(), HEALTH, OPEN), nodes) == (
        Question("http", 1, "10.0.0.1", 8000, "/health", "200"),
        Question("tcp", 1, "10.0.0.1", 29500, "", "open"),
    )


def test_answers_are_remembered_once_each_and_bounded() -> None:
    story = of()
    for number in range(1000):
        answer(story, 0, float(number), str(number % 600))
    answer(story, 7, 1.0, "200")
    kept = story.facts.given_answers()
    assert kept == tuple(Answer("http", 0, START_S + at, str(at)) for at in range(16))
