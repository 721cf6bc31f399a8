"""The check `consistent`: what may differ between ranks, and what may not."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from orchestrator.playbook.health import Consistent
from orchestrator.verify.checks import CheckResult, Finding, check_consistent
from orchestrator.verify.facts import RunFacts
from tests.unit.verify.results import failed, ok, pending, skipped
from tests.unit.verify.story import RUN_ID, Story

WITHIN = Consistent(within_s=60.0)
SAME = {"OMP_NUM_THREADS": "aaaa", "PATH": "bbbb"}
OTHERS = "the variables of the other ranks"


def tell(
    story: Story,
    rank: int,
    environment: dict[str, str] | None = None,
    *,
    python: str = "3.11.2",
    nccl: str = "",
    num_variables: int | None = None,
) -> None:
    """A probe reports what `consistent` compares."""
    digests = SAME if environment is None else environment
    total = len(digests) if num_variables is None else num_variables
    story.probe(rank, 1.0, "interpreter_started", python=python)
    story.probe(rank, 2.0, "torch_imported", torch="2.13.0+cpu", nccl=nccl)
    story.probe(rank, 3.0, "environment", digests=digests, num_variables=total)


def told(*environments: dict[str, str]) -> Story:
    """A gang whose ranks have told these environments."""
    story = Story(len(environments))
    for rank, environment in enumerate(environments):
        tell(story, rank, environment)
    return story


def consistent(story: Story, *may_differ: str, now_s: float = 5.0) -> CheckResult:
    return check_consistent(Consistent(except_names=may_differ), story.at(now_s))


def differ(nodes: str, *findings: Finding) -> CheckResult:
    return failed("consistent", f"{nodes} differs from the others", *findings)


def test_ranks_that_are_equal() -> None:
    assert consistent(told(SAME, SAME)) == ok(
        "consistent", "Python 3.11.2, torch 2.13.0+cpu and 2 variables on 2 ranks"
    )


def test_a_variable_that_differs_is_missing_or_is_there_alone() -> None:
    odd = {"PATH": "bbbb", "OMP_NUM_THREADS": "cccc", "NCCL_DEBUG": "dddd"}
    assert consistent(told(SAME, odd, SAME)) == differ(
        "1 node of 3",
        Finding(1, 1, OTHERS, "NCCL_DEBUG is set here alone, OMP_NUM_THREADS differs"),
    )
    assert consistent(told(SAME, {"PATH": "bbbb"}, SAME)) == differ(
        "1 node of 3", Finding(1, 1, OTHERS, "OMP_NUM_THREADS is not set")
    )


def test_of_two_ranks_the_first_is_the_measure() -> None:
    assert consistent(told({"SEED": "aaaa"}, {"SEED": "bbbb"})) == differ(
        "1 node of 2", Finding(1, 1, OTHERS, "SEED differs")
    )


@pytest.mark.parametrize(
    "name",
    [
        "RANK",
        "LOCAL_RANK",
        "GROUP_RANK",
        "HOSTNAME",
        "PWD",
        "_",
        "TORCHELASTIC_ERROR_FILE",
        "ORCHESTRATE_PROBE_CHANNEL",
        "ORCHESTRATE_SECRETS_DIR",
        "ORCHESTRATE_LOCAL_NODE",
    ],
)
def test_what_tells_a_rank_its_place_may_differ(name: str) -> None:
    story = told(SAME | {name: "cccc"}, SAME | {name: "dddd"}, SAME)
    assert consistent(story).status == "ok"


def test_what_the_playbook_excepts_may_differ() -> None:
    story = told({"SLURM_ID": "a", "SHARD": "b", "Shard": "c"}, {"SLURM_ID": "x", "SHARD": "y"})
    assert consistent(story, "SLURM_*", "SHARD") == differ(
        "1 node of 2", Finding(1, 1, OTHERS, "Shard is not set")
    )
    assert consistent(story, "SLURM_??", "S?ARD", "Shard").status == "ok"


def per_node(story: Story, *envs: dict[str, str]) -> Story:
    """The same story of a gang whose nodes are given these variables too."""
    pairs = zip(story.desired.nodes, envs, strict=True)
    nodes = tuple(
        replace(node, env=tuple({**dict(node.env), **own}.items())) for node, own in pairs
    )
    story.desired = replace(story.desired, nodes=nodes)
    story.facts = RunFacts(story.desired, RUN_ID)
    return story


def test_what_the_playbook_gives_to_a_node_of_its_own_is_meant_to_differ() -> None:
    story = per_node(Story(), {"SLOW": "0", "SAME": "1"}, {"SLOW": "1", "SAME": "1"})
    tell(story, 0, {"SLOW": "aaaa", "SAME": "bbbb"})
    tell(story, 1, {"SLOW": "cccc", "SAME": "dddd"})
    assert consistent(story) == differ("1 node of 2", Finding(1, 1, OTHERS, "SAME differs"))


def test_gpus_may_differ_where_each_node_has_its_own() -> None:
    own = Story(2, gpus=[("GPU-a",), ("GPU-b",)])
    shared = Story(2, gpus=[("GPU-a",), ("GPU-a",)])
    for story in (own, shared):
        tell(story, 0, {"CUDA_VISIBLE_DEVICES": "aaaa", "NVIDIA_VISIBLE_DEVICES": "aaaa"})
        tell(story, 1, {"CUDA_VISIBLE_DEVICES": "bbbb", "NVIDIA_VISIBLE_DEVICES": "bbbb"})
    assert consistent(own).status == "ok"
    assert consistent(shared) == differ(
        "1 node of 2",
        Finding(1, 1, OTHERS, "CUDA_VISIBLE_DEVICES differs, NVIDIA_VISIBLE_DEVICES differs"),
    )


def test_versions_that_differ_are_named_at_once() -> None:
    story = Story(3)
    tell(story, 0, nccl="2.27.3")
    tell(story, 2, nccl="2.27.3")
    story.probe(1, 1.0, "interpreter_started", python="3.12.1")
    story.probe(1, 1.0, "torch_imported", torch="2.13.0+cpu", nccl="")
    assert consistent(story) == differ(
        "1 node of 3",
        Finding(1, 1, "Python 3.11.2, as on rank 0", "Python 3.12.1"),
        Finding(1, 1, "NCCL 2.27.3, as on rank 0", "NCCL left out"),
    )


def test_images_that_differ_are_named_by_their_ids() -> None:
    story = told(SAME, SAME)
    story.stand(0, image_id="sha256:" + "a" * 64)
    story.stand(1, image_id="sha256:" + "b" * 64)
    assert consistent(story) == differ(
        "1 node of 2",
        Finding(1, None, "image sha256:aaaaaaaaaaaa, as on node 0", "image sha256:bbbbbbbbbbbb"),
    )


def test_many_variables_are_counted_not_listed() -> None:
    odd = {f"V{number:02d}": "x" for number in range(20)}
    (finding,) = consistent(told(SAME, SAME, SAME | odd)).findings
    named = ", ".join(f"V{number:02d} is set here alone" for number in range(8))
    assert finding.found == f"{named} and 12 more"


def test_a_part_that_is_still_to_come_is_no_difference() -> None:
    story = Story()
    tell(story, 0)
    tell(story, 1, {"PATH": "bbbb"}, num_variables=2)
    assert consistent(story) == pending("consistent", "1 of 2 ranks told their environment")
    late = consistent(story, now_s=60.1)
    assert late == failed(
        "consistent",
        "1 of 2 ranks did not tell their environment",
        Finding(1, 1, "versions and variables within 60 s", "1 of 2 variables"),
    )
    story.probe(1, 61.0, "environment", digests={"OMP_NUM_THREADS": "aaaa"}, num_variables=2)
    assert consistent(story, now_s=61.0).status == "ok"


def test_a_rank_that_ended_before_it_told_anything() -> None:
    story = Story()
    tell(story, 0)
    story.end(1, 0)
    assert consistent(story) == failed(
        "consistent",
        "1 of 2 ranks did not tell their environment",
        Finding(1, 1, "versions and variables within 60 s", "nothing"),
    )


def test_without_a_probe_there_is_nothing_to_compare() -> None:
    story = Story()
    story.join_all()
    assert consistent(story) == pending("consistent", "0 of 2 ranks told their environment")
    assert consistent(story, now_s=60.1) == skipped(
        "consistent", "no probe told a rank's environment"
    )
