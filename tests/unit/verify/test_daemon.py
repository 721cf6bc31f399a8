"""The check `mps`, and what is said of a run that lost its daemon."""

from __future__ import annotations

from orchestrator.playbook.health import Completed, Mps
from orchestrator.state.observed import NodeHealth, NodeStatus
from orchestrator.verify.checks import CheckResult, check_mps, evaluate
from orchestrator.verify.diagnose import Diagnosis, diagnose
from orchestrator.verify.suspects import Weight
from tests.unit.fakes import sidecar_spec
from tests.unit.verify.results import failed, ok, pending
from tests.unit.verify.story import START_S, Story

WHO = "expected the mps daemon pair-mps to run and answer; found that it"
KILLED = "was killed by signal 9 (exit code 137)"


def few(found: int) -> str:
    return (
        f"expected 2 clients of the daemon at once, found {found} at most: a rank ran without it, "
        "or used no CUDA"
    )


def story(num_nodes: int = 2) -> Story:
    made = Story(num_nodes, beside=sidecar_spec())
    made.clients(0, 0)
    return made


def kill(of: Story, at_s: float) -> None:
    of.beside(status=NodeStatus.EXITED, exit_code=137, finished_at_s=START_S + at_s)


def judged(of: Story, now_s: float = 5.0, within_s: float = 120.0) -> CheckResult:
    return check_mps(Mps(within_s=within_s), of.at(now_s))


def test_as_many_clients_as_ranks_were_there_at_once() -> None:
    run = story()
    run.clients(2, 2)
    assert judged(run) == ok("mps", "the daemon answers, 2 clients")
    run.clients(0, 3)
    assert judged(run, 500.0) == ok("mps", "the daemon answers, 3 clients")


def test_clients_may_still_come() -> None:
    run = story()
    run.clients(1, 1)
    assert judged(run, 120.0) == pending("mps", "1 of 2 clients")
    assert judged(run, 120.1) == failed("mps", few(1))
    assert judged(run, 9.1, within_s=9.0).status == "failed"


def test_no_client_comes_after_the_last_node_has_ended() -> None:
    run = story()
    run.end(0, 0, 10.0)
    assert judged(run, 50.0) == pending("mps", "0 of 2 clients")
    run.end(1, 0, 20.0)
    assert judged(run, 23.0) == pending("mps", "0 of 2 clients")
    assert judged(run, 23.1) == failed("mps", few(0))


def test_what_is_no_answer_tells_of_no_client() -> None:
    run = story()
    run.beside(health=NodeHealth("healthy", True, 0, "clients: 9 now, 9 at most; rm -rf"))
    assert judged(run) == pending("mps", "0 of 2 clients")


def test_a_daemon_that_is_lost_fails_at_once() -> None:
    states: list[tuple[dict[str, object], str]] = [
        ({"status": NodeStatus.EXITED, "exit_code": 137}, KILLED),
        ({"status": NodeStatus.EXITED, "exit_code": 0}, "exited with code 0"),
        ({"status": NodeStatus.PAUSED}, "is paused"),
        ({"was_restarted": True}, "was started again, and the ranks knew another process"),
        ({"health": None}, "does not answer"),
        (
            {"health": NodeHealth("unhealthy", True, 1, "Cannot find MPS control daemon process")},
            "does not answer: Cannot find MPS control daemon process",
        ),
    ]
    for changes, found in states:
        run = story()
        run.clients(2, 2)
        run.beside(**changes)
        assert judged(run) == failed("mps", f"{WHO} {found}")
    run.sidecar = None
    assert judged(run) == failed("mps", f"{WHO} is gone")


def test_a_daemon_that_ends_after_its_nodes_has_done_its_work() -> None:
    run = story()
    run.clients(0, 2)
    run.end(0, 0, 10.0)
    run.end(1, 0, 20.0)
    kill(run, 20.0)
    assert judged(run, 60.0) == ok("mps", "the daemon answers, 2 clients")
    kill(run, 19.9)
    assert judged(run, 60.0) == failed("mps", f"{WHO} {KILLED}")


def diagnosed(of: Story, now_s: float) -> Diagnosis | None:
    run = of.at(now_s)
    return diagnose(evaluate((Mps(), Completed()), run), run)


def test_its_death_is_the_first_cause_and_what_ranks_met_only_followed() -> None:
    run = story()
    kill(run, 10.0)
    lost = "CUDA error: the MPS client has been terminated by the server"
    for node_rank in range(2):
        run.fail(node_rank, 10.5 + node_rank, f"AcceleratorError: {lost}", "AcceleratorError")
        run.end(node_rank, 1, 10.6 + node_rank)
    found = diagnosed(run, 12.0)
    assert found is not None
    assert (found.cause, found.node_rank, found.at_s, found.weight) == (
        "sidecar-lost",
        None,
        START_S + 10.0,
        Weight.PRIMARY,
    )
    assert found.headline == (
        f"the mps daemon pair-mps {KILLED}: the ranks cannot use their GPU without it; apply "
        "again: it replaces the daemon and the gang; its own log is kept beside theirs"
    )
    assert found.consequences == (
        "rank 0 was cut off by the MPS server, 0.5 s later",
        "rank 1 was cut off by the MPS server, 1.5 s later",
    )


def test_it_is_the_cause_also_while_no_rank_has_noticed() -> None:
    run = story()
    kill(run, 10.0)
    found = diagnosed(run, 11.0)
    assert found is not None
    assert (found.brief, found.consequences) == (f"the mps daemon pair-mps {KILLED}", ())


def test_a_rank_that_failed_before_it_is_the_cause_itself() -> None:
    run = story()
    run.fail(1, 5.0, "no such corpus", "ValueError")
    run.end(1, 1, 5.1)
    kill(run, 10.0)
    found = diagnosed(run, 11.0)
    assert found is not None
    assert (found.node_rank, found.what) == (1, "raised ValueError: no such corpus")


def test_too_few_clients_are_the_runs_own_fault() -> None:
    run = story()
    run.clients(1, 1)
    found = diagnosed(run, 121.0)
    assert found is not None
    assert found.brief == "the run fails check mps"
    assert found.why == few(1)
