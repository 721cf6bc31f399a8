"""Of all that happened in a run that failed, which is named as the cause, and in which words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from orchestrator.playbook.health import ParametersInSync
from orchestrator.playbook.models import Check, Completed, Joined, Loss, Progress
from orchestrator.state.observed import NodeStatus
from orchestrator.verify.checks import check_parameters_in_sync, evaluate
from orchestrator.verify.diagnose import Diagnosis, diagnose
from orchestrator.verify.results import CheckResult, Status
from orchestrator.verify.suspects import Evidence, Weight
from tests.unit.verify.story import RUN_ID, START_S, Story

CHECKS: tuple[Check, ...] = (Joined(within_s=20.0), Progress(every_s=5.0), Completed(within_s=60.0))
LOST = "[pair.cc:547] Connection closed by peer [172.18.0.3]:4711"
WITHIN = 30.0


def diagnosed(story: Story, now_s: float = WITHIN, checks: tuple[Check, ...] = CHECKS) -> Diagnosis:
    run = story.at(now_s)
    found = diagnose(evaluate(checks, run), run)
    assert found is not None
    return found


def headline(story: Story, now_s: float = WITHIN) -> str:
    return diagnosed(story, now_s).headline


def probe(story: Story, rank: int, at_s: float, event: str, node: int | None = None) -> None:
    """The probe of a rank reports; `event` is its name, or a whole record."""
    fields = json.loads(event) if event.startswith("{") else {"event": event}
    record = {"run_id": RUN_ID, "source": "probe", "rank": rank, "pid": 7 + rank} | fields
    story.say(rank if node is None else node, at_s, json.dumps(record))


def rendezvous(story: Story, rank: int, at_s: float = 2.0, **view: Any) -> None:
    """A rank calls init_process_group, as it was told to but for `view`."""
    fields = {
        "event": "rendezvous_started",
        "master_addr": "pair-node-0",
        "master_port": "29500",
        "world_size": 2,
        "backend": "gloo",
    }
    probe(story, rank, at_s, json.dumps(fields | view))


def given_ports(story: Story) -> Story:
    """The nodes were told the port too, as resolving a playbook does."""
    nodes = tuple(
        replace(node, env=(*node.env, ("MASTER_PORT", "29500"))) for node in story.desired.nodes
    )
    story.desired = story.facts.desired = replace(story.desired, nodes=nodes)
    return story


def stacks(story: Story, rank: int, at_s: float, call: str, *frames: str) -> None:
    """The probe of a rank that makes no progress says where it is."""
    fields = {"event": "stacks", "waited_s": 5.0, "call": call, "threads": {"MainThread": frames}}
    probe(story, rank, at_s, json.dumps(fields))


# -- the whole answer --------------------------------------------------------------


def test_nothing_failed_and_nothing_is_diagnosed() -> None:
    story = Story()
    story.join_all()
    run = story.at(2.0)
    assert diagnose(evaluate(CHECKS, run), run) is None


def test_the_answer_has_its_evidence_and_what_only_followed() -> None:
    story = Story()
    story.join_all()
    story.say(0, 4.0, f"[rank0]: RuntimeError: {LOST}")
    story.say(1, 4.2, "[rank1]: ValueError: sample 7 is bad")
    story.end(0, 1, 5.0)
    story.end(1, 1, 6.0)
    assert diagnosed(story) == Diagnosis(
        cause="exception",
        node_rank=1,
        node="pair-node-1",
        rank=1,
        also=(),
        what="raised ValueError: sample 7 is bad",
        why="",
        mend="see the traceback in its log",
        at_s=START_S + 4.2,
        weight=Weight.PRIMARY,
        evidence=(
            Evidence(START_S + 4.2, 1, "[rank1]: ValueError: sample 7 is bad"),
            Evidence(START_S + 6.0, 1, "the node exited with code 1"),
        ),
        consequences=("rank 0 lost the connection to a peer",),
    )


def test_the_document_for_machines_has_every_field() -> None:
    story = Story()
    story.end(1, 3, 5.0)
    assert diagnosed(story).document() == {
        "headline": "rank 1 (pair-node-1) exited with code 3: it wrote nothing;"
        " see what ranks.command does",
        "cause": "exit-code",
        "node_rank": 1,
        "node": "pair-node-1",
        "rank": 1,
        "also": (),
        "what": "exited with code 3",
        "why": "it wrote nothing",
        "mend": "see what ranks.command does",
        "at_s": START_S + 5.0,
        "weight": "primary",
        "evidence": (
            {"at_s": START_S + 5.0, "node_rank": 1, "text": "the node exited with code 3"},
        ),
        "consequences": (),
    }


def test_a_check_that_blames_no_rank_is_the_answer_for_the_run() -> None:
    run = Story().at(5.0)
    found = diagnose([CheckResult("loss", Status.FAILED, "there is nothing to compare with")], run)
    assert found is not None
    assert found.headline == "the run fails check loss: there is nothing to compare with"
    assert (found.node_rank, found.rank, found.evidence) == (None, None, ())


def test_an_error_is_told_with_the_place_of_the_users_own_code() -> None:
    story = Story()
    story.say(1, 4.2, "[rank1]: ValueError: sample 7 is bad")
    frames = (
        "/s/train.py",
        "/opt/orchestrate/probe/orchestrate_probe/joining.py",
        "/venv/lib/python3.11/site-packages/torch/nn/modules/module.py",
    )
    trace = "\n".join(f'File "{path}", line 12, in step' for path in frames)
    fields = {"event": "rank_failed", "reason": "sample 7 is bad", "error_type": "ValueError"}
    probe(story, 1, 4.3, json.dumps(fields | {"traceback": trace}))
    story.end(1, 1, 6.0)
    assert diagnosed(story).headline == (
        "rank 1 (pair-node-1) raised ValueError: sample 7 is bad: at /s/train.py:12, in step;"
        " see the traceback in its log"
    )


def test_an_error_that_the_node_got_over_long_before_is_not_what_ended_it() -> None:
    story = Story()
    for number in range(9):
        story.say(1, 1.0 + number, f"OSError: download failed, try {number}")
    story.say(1, 60.0, "OSError: the disk is gone")
    story.say(1, 60.1, "bye")
    story.end(1, 1, 60.2)
    assert diagnosed(story, 61.0).brief == ("rank 1 (pair-node-1) raised OSError: the disk is gone")
    story.say(1, 120.0, "giving up")
    assert diagnosed(story, 121.0).brief == (
        "rank 1 (pair-node-1) exited with code 1: last line `giving up`"
    )


def test_a_rank_that_was_still_on_its_way_has_met_no_consequence() -> None:
    story = given_ports(Story())
    probe(story, 0, 0.1, "interpreter_started")
    story.say(1, 0.2, "ValueError: bad")
    story.end(1, 1, 0.3)
    found = diagnosed(story, 0.4)
    assert (found.brief, found.consequences) == ("rank 1 (pair-node-1) raised ValueError: bad", ())


# -- which of several --------------------------------------------------------------


def test_of_two_causes_the_earlier_one_is_named() -> None:
    story = Story()
    story.fail(1, 3.0, "no corpus")
    story.fail(0, 4.0, "no space")
    story.end(0, 1, 5.0)
    story.end(1, 1, 6.0)
    found = diagnosed(story)
    assert found.brief == "rank 1 (pair-node-1) raised no corpus"
    assert found.consequences == ("rank 0 raised no space, 1.0 s later",)


def test_a_node_that_lost_its_peer_is_never_before_one_that_did_not() -> None:
    story = Story(3)
    for node in (0, 2):
        story.fail(node, 4.0, LOST, "RuntimeError")
        story.end(node, 1, 6.0)
    story.end(1, 137, 8.0)
    assert diagnosed(story).brief == "rank 1 (pair-node-1) was killed by signal 9 (SIGKILL)"


def test_an_error_that_followed_a_lost_peer_is_no_cause() -> None:
    story = Story()
    story.say(0, 4.0, f"RuntimeError: {LOST}")
    story.say(0, 4.1, "TrainerError: step 4 failed")
    story.end(0, 1, 5.0)
    found = diagnosed(story, 6.0)
    assert (found.cause, found.weight) == ("peer-lost", Weight.SECONDARY)


def test_an_exact_cause_counts_although_an_error_came_before() -> None:
    story = Story()
    story.say(1, 4.0, "RuntimeError: Caught RuntimeError in DataLoader worker process 0.")
    story.say(1, 4.0, "RuntimeError: unable to allocate shared memory(shm) for file </torch_1>")
    story.end(1, 1, 5.0)
    assert diagnosed(story).cause == "shm-full"


def test_ranks_that_met_the_same_are_named_together() -> None:
    story = Story(3)
    for node in range(3):
        story.say(node, 1.0 + node, "ModuleNotFoundError: No module named 'flash_attn'")
        story.end(node, 1, 5.0)
    found = diagnosed(story)
    assert (found.rank, found.also) == (0, (1, 2))
    assert found.brief == "ranks 0, 1 and 2 each cannot import flash_attn"
    assert found.consequences == ()


def test_of_many_ranks_the_first_few_are_named() -> None:
    story = Story(9)
    for node in range(9):
        story.end(node, 1, 5.0)
    assert diagnosed(story).who == "ranks 0, 1, 2, 3 and 5 more"


# -- what the engine says ------------------------------------------------------------

_KILLED = (
    "was killed by signal 9 (SIGKILL): the engine saw no memory limit reached, so something outside"
    " of it did that; look for who killed it: docker kill, a batch system, or the kernel (dmesg)"
)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"oom_killed": True, "exit_code": 137},
            "ran out of memory: its node may use 1024 MiB; raise ranks.resources.memory, or use a"
            " smaller batch or model",
        ),
        ({"exit_code": 137}, _KILLED),
        (
            {"exit_code": 127},
            "did not start: its command does not exist: python is not in its image, or not a"
            " program; use an image that has it, or mend ranks.command",
        ),
        (
            {"status": NodeStatus.PAUSED, "exit_code": None},
            "is paused: somebody froze its container while it ran; unpause it (docker unpause"
            " pair-node-1), or apply again",
        ),
        ({"exit_code": 160}, "was killed by signal 32 (unknown); see the last lines of its log"),
    ],
)
def test_what_the_engine_says_of_a_node(changes: dict[str, object], told: str) -> None:
    story = Story()
    story.fail(0, 4.0, LOST, "RuntimeError")
    story.end(0, 1, 5.0)
    story.end(1, 1, 9.0)
    story.stand(1, **changes)
    assert headline(story) == f"rank 1 (pair-node-1) {told}"


def test_a_node_that_is_gone() -> None:
    story = Story()
    story.vanish(1)
    assert headline(story) == (
        "rank 1 (pair-node-1) is gone: somebody removed its container while it ran; apply again"
    )


def test_memory_counts_more_than_what_a_rank_says_of_it() -> None:
    story = Story()
    story.say(1, 4.0, "RuntimeError: DataLoader worker (pid 41) is killed by signal: Killed. ")
    story.end(1, 1, 5.0)
    assert diagnosed(story).cause == "worker-killed"
    story.stand(1, oom_killed=True)
    assert diagnosed(story).cause == "out-of-memory"


# -- several ranks in a node ------------------------------------------------------------

SUMMARY = """\
torch.distributed.elastic.multiprocessing.errors.ChildFailedError:
Root Cause (first observed failure):
  rank      : 3 (local_rank: 1)
  exitcode  : {code} (pid: 19630)
"""


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("-9", "rank 3 (pair-node-1) was killed by signal 9 (SIGKILL)"),
        ("3", "rank 2 (pair-node-1) lost the connection to a peer"),
    ],
)
def test_of_a_node_of_two_ranks_the_one_that_failed_is_named(code: str, told: str) -> None:
    story = Story(2, 2)
    story.say(1, 4.0, f"[rank2]: RuntimeError: {LOST}")
    for line in SUMMARY.format(code=code).splitlines():
        story.say(1, 5.0, line)
    story.end(1, 1, 6.0)
    assert diagnosed(story).brief == told


def test_a_rank_that_only_torchrun_speaks_of() -> None:
    story = Story(2, 2)
    for line in SUMMARY.format(code=3).splitlines()[1:]:
        story.say(1, 5.0, line)
    story.end(1, 1, 6.0)
    assert diagnosed(story).brief == (
        "rank 3 (pair-node-1) exited with code 3: last line `exitcode  : 3 (pid: 19630)`"
    )


def test_an_error_after_a_lost_peer_is_a_cause_where_it_is_of_another_rank() -> None:
    story = Story(2, 2)
    story.say(1, 4.0, f"[rank2]: RuntimeError: {LOST}")
    story.say(1, 4.1, "[rank3]: ValueError: bad")
    story.end(1, 1, 6.0)
    assert diagnosed(story).brief == "rank 3 (pair-node-1) raised ValueError: bad"


def test_a_prefix_names_no_rank_of_another_node() -> None:
    story = Story(2, 2)
    story.say(1, 4.0, "[rank0]: ValueError: bad")
    story.end(1, 1, 6.0)
    assert diagnosed(story).brief == "node 1 (pair-node-1) raised ValueError: bad"


def test_a_torchrun_that_is_not_in_the_image() -> None:
    story = Story(1, 2)
    spec = replace(story.desired.nodes[0], command=("torchrun", "--no-python", "./train.sh"))
    story.facts.desired = replace(story.desired, nodes=(spec,))
    story.end(0, 127, 1.0)
    assert diagnosed(story).why == (
        "torchrun, which starts the ranks of a node, is not in its image, or not a program"
    )


# -- a group that does not form, by what the probe saw --------------------------------------

GIVEN = "and something changed it; leave {} as it is set for you"


@pytest.mark.parametrize(
    ("view", "told"),
    [
        (
            {"master_addr": "10.9.9.9"},
            "looks for rank 0 at 10.9.9.9: it was given MASTER_ADDR pair-node-0, "
            + GIVEN.format("MASTER_ADDR"),
        ),
        (
            {"master_addr": "localhost"},
            "looks for rank 0 at localhost, which is its own node: it was given MASTER_ADDR"
            " pair-node-0, " + GIVEN.format("MASTER_ADDR"),
        ),
        (
            {"master_port": "29999"},
            "looks for rank 0 on port 29999: it was given MASTER_PORT 29500, "
            + GIVEN.format("MASTER_PORT"),
        ),
        (
            {"world_size": 3},
            "waits for a group of 3: it was given WORLD_SIZE 2, " + GIVEN.format("WORLD_SIZE"),
        ),
    ],
)
def test_a_rank_that_was_told_otherwise(view: dict[str, Any], told: str) -> None:
    story = given_ports(Story())
    rendezvous(story, 0)
    rendezvous(story, 1, **view)
    assert headline(story) == f"rank 1 (pair-node-1) {told}"


def test_a_name_that_does_not_resolve_is_said_not_to() -> None:
    story = given_ports(Story())
    rendezvous(story, 1, master_addr="trainer-0")
    probe(story, 1, 3.0, '{"event": "name_resolved", "error": "Name or service not known"}')
    assert diagnosed(story).brief == (
        "rank 1 (pair-node-1) looks for rank 0 at trainer-0, a name that does not resolve"
    )


def test_rank_0_may_call_itself_localhost() -> None:
    story = given_ports(Story())
    rendezvous(story, 0, 2.0, master_addr="127.0.0.1")
    rendezvous(story, 1, 3.0, master_addr="127.0.0.1")
    assert diagnosed(story).rank == 1


def test_a_rank_in_anothers_place() -> None:
    story = given_ports(Story())
    rendezvous(story, 0)
    probe(story, 0, 2.0, '{"event": "rendezvous_started", "world_size": 2}', node=1)
    assert headline(story) == (
        "rank 1 (pair-node-1) takes itself for rank 0, so that there are two: it was given RANK 1, "
        + GIVEN.format("RANK")
    )


def test_nodes_whose_script_spawns_ranks_as_for_a_single_machine() -> None:
    story = given_ports(Story())
    here = {"event": "rendezvous_started", "world_size": 2, "master_addr": "127.0.0.1"}
    for node in (0, 1):
        for rank in (0, 1):
            probe(story, rank, 2.0, json.dumps(here), node=node)
    found = diagnosed(story)
    assert found.headline == (
        "ranks 0 and 1 each starts more ranks by itself: its script spawns them, as for a single"
        " machine; let each process be the one rank that RANK and WORLD_SIZE say;"
        " ranks.nproc_per_node is for more of them in a node"
    )
    assert [line.text for line in found.evidence] == [
        "rendezvous_started of rank 1, which is not this node's",
        "rendezvous_started of rank 0, which is not this node's",
    ]
    assert found.consequences == (
        "rank 1 looks for rank 0 at 127.0.0.1, which is its own node, 2.0 s later",
    )


def test_a_single_node_whose_script_spawns_ranks_although_it_is_one() -> None:
    story = given_ports(Story(1))
    for rank in (0, 1):
        probe(story, rank, 2.0, '{"event": "rendezvous_started", "world_size": 2}', node=0)
    found = diagnosed(story)
    assert (found.cause, found.brief) == (
        "starts-ranks",
        "rank 0 (pair-node-0) starts more ranks by itself",
    )


def test_a_rank_that_never_calls_init_and_one_that_waits_for_it() -> None:
    story = given_ports(Story())
    for rank in (0, 1):
        probe(story, rank, 1.0, '{"event": "torch_imported", "torch": "2.13.0"}')
    rendezvous(story, 0, 2.0)
    stacks(story, 1, 19.0, "", "/scripts/x.py:9 in wait")
    found = diagnosed(story)
    assert found.headline == (
        "rank 1 (pair-node-1) did not call init_process_group within 30 s: it got as far as:"
        " torch imported; call it on every rank, or see what it does instead"
    )
    assert found.evidence == (Evidence(START_S + 19.0, 1, "it is at /scripts/x.py:9 in wait"),)
    assert found.consequences == ("rank 0 has waited 28 s to join the group, 2.0 s later",)


def test_a_rank_that_is_least_far_is_named_although_it_came_later() -> None:
    story = given_ports(Story())
    for rank, at_s in ((0, 2.0), (1, 5.0)):
        rendezvous(story, rank, at_s)
        probe(story, rank, at_s + 1, '{"event": "name_resolved", "addresses": ["10.0.0.2"]}')
    probe(story, 0, 4.0, "master_reached")
    assert headline(story) == (
        "rank 1 (pair-node-1) has waited 24 s to join the group: it got as far as: name resolved,"
        " where others came further; see what keeps it there"
    )


def test_ranks_that_all_wait_at_the_same_point() -> None:
    story = given_ports(Story())
    for rank in (0, 1):
        rendezvous(story, rank)
        probe(story, rank, 4.0, "store_joined")
    assert headline(story) == (
        "ranks 0 and 1 each has waited 26 s to join the group: it got as far as: store joined;"
        " see why the ranks do not reach each other"
    )


def test_a_rank_that_ends_with_0_before_it_joins() -> None:
    story = given_ports(Story())
    rendezvous(story, 0, 2.0)
    story.say(1, 1.5, "nothing to do")
    story.end(1, 0, 2.5)
    found = diagnosed(story, 3.0)
    assert found.brief == "rank 1 (pair-node-1) ended with 0 before it joined the group"
    assert found.evidence == (
        Evidence(START_S + 1.5, 1, "nothing to do"),
        Evidence(START_S + 2.5, 1, "the node ended with 0"),
    )


def test_another_torch_is_likely_the_cause_where_nobody_names_one() -> None:
    story = given_ports(Story())
    for rank, version in enumerate(("2.13.0", "2.9.1")):
        probe(story, rank, 1.0, json.dumps({"event": "torch_imported", "torch": version}))
        rendezvous(story, rank)
    story.fail(0, 4.0, LOST, "RuntimeError")
    story.end(0, 1, 5.0)
    assert diagnosed(story).brief == (
        "rank 1 (pair-node-1) has torch 2.9.1, rank 0 has torch 2.13.0"
    )
    story.end(1, 137, 5.0)
    assert diagnosed(story).cause == "killed"


# -- the same without the probe ---------------------------------------------------------------

SILENT = "The client socket has timed out after 9000ms while trying to connect to ({}, {})."


def test_a_log_that_tells_of_another_address_than_was_given() -> None:
    story = given_ports(Story())
    story.say(1, 11.0, f"[E1 socket.cpp:1] [c10d] {SILENT.format('10.9.9.9', 29500)}")
    assert diagnosed(story).brief == (
        "rank 1 (pair-node-1) connects to 10.9.9.9:29500, where rank 0 is not"
    )


def test_a_log_that_tells_of_the_given_address_points_at_rank_0() -> None:
    story = given_ports(Story())
    story.say(1, 11.0, f"DistNetworkError: {SILENT.format('pair-node-0', 29500)}")
    story.end(1, 1, 11.0)
    found = diagnosed(story)
    assert found.brief == (
        "rank 0 (pair-node-0) runs, and did not come to the group that others wait in"
    )
    assert found.consequences == (
        "rank 1 could not reach rank 0 at pair-node-0:29500, 11.0 s later",
    )


def test_a_log_that_waits_for_more_ranks_than_there_are() -> None:
    story = given_ports(Story())
    text = "DistStoreError: Timed out after 11 seconds waiting for clients. 2/3 clients joined."
    story.say(0, 11.0, text)
    story.end(0, 1, 11.0)
    assert diagnosed(story).brief == "rank 0 (pair-node-0) waits for 3 ranks"


def test_a_log_full_of_handled_errors_is_not_blamed_for_a_check() -> None:
    story = Story()
    story.join_all()
    for rank in (0, 1):
        story.say(rank, 2.0, "OSError: [Errno 28] No space left on device (ignored)")
        story.step(rank, 1, 3.0, "1e999")
    found = diagnosed(story, 4.0, (Loss(),))
    assert found.headline == (
        "ranks 0 and 1 each fails check loss: expected a finite loss; found not finite at step 1"
    )


def test_ranks_that_train_apart_are_told_what_keeps_them_together() -> None:
    story = Story()
    story.join_all()
    for rank, checksum in enumerate(("aa", "xx")):
        story.probe(rank, 2.0, "parameters", step=1, checksum=checksum, num_parameters=1000)
    run = story.at(3.0)
    found = diagnose([check_parameters_in_sync(ParametersInSync(), run)], run)
    assert found is not None
    assert found.headline == (
        "rank 1 (pair-node-1) fails check parameters_in_sync: expected checksum aa after step 1,"
        " as on rank 0; found xx; see that each of them steps a model wrapped in"
        " DistributedDataParallel"
    )


# -- a group that formed and stands still --------------------------------------------------------


def standing(*steps: int) -> Story:
    story = Story(len(steps))
    story.join_all()
    for rank, last in enumerate(steps):
        story.step(rank, last, 2.0 + rank)
        probe(story, rank, 0.5, "interpreter_started")
    return story


def test_the_rank_that_is_not_in_the_collective_is_named_with_every_stack() -> None:
    story = standing(3, 3)
    stacks(story, 0, 8.0, "all_reduce", "/lib/torch/x.py:1 in all_reduce", "/s/a.py:4 in step")
    stacks(story, 1, 8.0, "", "/lib/python3.11/threading.py:1 in wait", "/s/a.py:9 in step")
    found = diagnosed(story, 9.0)
    assert found.headline == (
        "rank 1 (pair-node-1) is at /s/a.py:9 in step while rank 0 waits for it in all_reduce:"
        " both have done step 3; see why it does not get on from there"
    )
    assert found.evidence == (
        Evidence(START_S + 2.0, 0, "its last step is 3, it waits in all_reduce"),
        Evidence(START_S + 3.0, 1, "its last step is 3"),
        Evidence(START_S + 8.0, 1, "it is at /lib/python3.11/threading.py:1 in wait"),
        Evidence(START_S + 8.0, 1, "it is at /s/a.py:9 in step"),
        Evidence(START_S + 8.0, 0, "it is at /lib/torch/x.py:1 in all_reduce"),
        Evidence(START_S + 8.0, 0, "it is at /s/a.py:4 in step"),
    )


def test_a_rank_that_others_waited_for_until_their_time_was_up() -> None:
    story = standing(3, 3, 3)
    stacks(story, 1, 8.0, "", "/s/a.py:9 step")
    for rank in (0, 2):
        story.say(rank, 15.0, f"[rank{rank}]: Timed out waiting 9ms for recv operation to complete")
        story.end(rank, 1, 15.5)
    found = diagnosed(story, 16.0)
    assert found.brief == (
        "rank 1 (pair-node-1) is at /s/a.py:9 step while rank 0 waited for it in a collective"
    )
    assert found.consequences == (
        "rank 0 waited in a collective until its time was up, 12.0 s later",
        "rank 2 waited in a collective until its time was up, 12.0 s later",
    )


def test_ranks_in_different_collectives() -> None:
    story = standing(3, 3, 3)
    for rank, call in enumerate(("all_reduce", "all_reduce", "barrier")):
        stacks(story, rank, 8.0, call, f"/s/a.py:{rank} in step")
    assert diagnosed(story, 9.0).brief == (
        "rank 2 (pair-node-2) is in barrier while rank 0 waits for it in all_reduce"
    )


def test_ranks_that_all_stand_at_the_same_place() -> None:
    story = standing(3, 3)
    for rank in (0, 1):
        stacks(story, rank, 8.0, "all_reduce", "/s/a.py:4 in step")
    assert diagnosed(story, 9.0).brief == "ranks 0 and 1 each made no step after step 3"


def test_ranks_that_still_import_are_in_no_collective() -> None:
    story = standing(0, 0)
    tensor = "torch/distributed/tensor/_ops/_pointwise_ops.py:9"
    stacks(story, 0, 8.0, "<module>", f"{tensor} <module>", "/s/a.py:4 step")
    stacks(story, 1, 8.0, "_ops_of", f"{tensor} _ops_of", f"{tensor} <module>", "/s/a.py:4 step")
    assert headline(story, 9.0) == (
        "ranks 0 and 1 each made no step after it joined: it is still importing"
        " torch/distributed/tensor/_ops/_pointwise_ops.py; give it more time (progress.every)"
    )


def test_a_rank_waits_in_the_backward_pass_of_a_peer_that_does_not_come() -> None:
    story = standing(3, 3)
    stacks(story, 0, 8.0, "", "torch/autograd/graph.py:841 _engine_run_backward", "/s/a.py:5 step")
    stacks(story, 1, 8.0, "", "/s/a.py:9 step")
    assert diagnosed(story, 9.0).brief == (
        "rank 1 (pair-node-1) is at /s/a.py:9 step while rank 0 waits for it in the backward pass"
    )


def test_without_stacks_the_rank_with_fewest_steps_is_named() -> None:
    story = standing(4, 3)
    assert diagnosed(story, 9.0).brief == (
        "rank 1 (pair-node-1) came no further than step 3, others did step 4"
    )


def test_a_rank_that_ended_well_and_too_early() -> None:
    story = standing(6, 4)
    story.end(1, 0, 5.0)
    assert headline(story, 20.0) == (
        "rank 1 (pair-node-1) ended with 0 while others were still in the group: it last reported"
        " step 4, and took part in fewer collectives than they did, as with fewer batches; give"
        " every rank the same number of steps (drop_last, or DDP's join())"
    )
    story.fail(0, 5.1, LOST, "RuntimeError")
    story.end(0, 1, 5.2)
    found = diagnosed(story, 20.0)
    assert (found.cause, found.rank) == ("left", 1)
    assert found.consequences == ("rank 0 lost the connection to a peer, 0.1 s later",)
