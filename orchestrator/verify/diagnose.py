"""Why a run failed: one cause, named, with what shows it and what only followed from it. Pure.

The engine's word on each node, torchrun's summaries, what ranks report and the lines that a
signature knows are weighed together: of all that happened, the earliest that names a cause
outright; failing that, what fits the facts best; failing that, the first thing that went wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct, to_builtins

from orchestrator.records import TorchImported
from orchestrator.verify.checks.beside import SidecarLoss, loss_of_sidecar
from orchestrator.verify.checks.run import Run
from orchestrator.verify.endings import suspects_of_nodes
from orchestrator.verify.hangs import OF_STANDSTILL, left_early, suspects_of_a_hang
from orchestrator.verify.joining import NEVER_INIT, suspects_of_joining
from orchestrator.verify.rank_facts import Phase
from orchestrator.verify.results import CheckResult, Status
from orchestrator.verify.sayings import said_by_the_living
from orchestrator.verify.suspects import (
    Evidence,
    Suspect,
    Weight,
)

MAX_EVIDENCE = 12
MAX_CONSEQUENCES = 16
SAME_MOMENT_S = 1.0
"""The engine may notice that a node ended a moment after its peers did."""

MAX_NAMED = 4
"""Ranks that are named one by one where several have met the same."""

MENDS = {
    "parameters_in_sync": "see that each of them steps a model wrapped in DistributedDataParallel",
}
"""What to do where a check fails and its findings do not say it already."""


class Diagnosis(Struct, frozen=True):
    """The answer: who, what, why, and how to mend it.

    Attributes:
        cause: the id of a signature, or a word for what no text says, or `check-NAME`.
        node_rank: whose node it is; None where a check blames the run as a whole.
        node: the node's name, or what a sidecar is called; empty for the run as a whole.
        rank: the rank; None where a node of several gave no hint which.
        also: further ranks that met the very same.
        what: what happened, after "rank 1 ".
        why: why; empty where there is no more to say.
        mend: what to do.
        at_s: when it happened, seconds since the epoch, by the engine's clock.
        weight: PRIMARY where it names the cause outright, LIKELY where that was concluded,
            SECONDARY where nothing but what others brought about is known.
        evidence: what shows it, in the order of time.
        consequences: what only followed, a line each.
    """

    cause: str
    node_rank: int | None
    node: str
    rank: int | None
    also: tuple[int, ...]
    what: str
    why: str
    mend: str
    at_s: float
    weight: Weight
    evidence: tuple[Evidence, ...] = ()
    consequences: tuple[str, ...] = ()

    @property
    def who(self) -> str:
        """The rank and its node, or the ranks."""
        if self.node_rank is None:
            return self.node or "the run"
        if self.rank is None:
            return f"node {self.node_rank} ({self.node})"
        if not self.also:
            return f"rank {self.rank} ({self.node})"
        ranks = sorted((self.rank, *self.also))
        if len(ranks) > MAX_NAMED:
            return (
                f"ranks {', '.join(map(str, ranks[:MAX_NAMED]))} and {len(ranks) - MAX_NAMED} more"
            )
        return f"ranks {', '.join(map(str, ranks[:-1]))} and {ranks[-1]}"

    @property
    def headline(self) -> str:
        """The answer in one line."""
        why = f": {self.why}" if self.why else ""
        mend = f"; {self.mend}" if self.mend else ""
        return f"{self.brief}{why}{mend}"

    def document(self) -> dict[str, object]:
        """The answer for machines: every field, and the headline."""
        weight = self.weight.name.lower()
        return {"headline": self.headline, **to_builtins(self), "weight": weight}

    @property
    def brief(self) -> str:
        """Who, and what happened: where there is room for no more."""
        return f"{self.who} {'each ' if self.also else ''}{self.what}"


def diagnose(results: Sequence[CheckResult], run: Run) -> Diagnosis | None:
    """Name the cause of a failure; None when no check failed."""
    failed = [result for result in results if result.status is Status.FAILED]
    if not failed:
        return None
    of_processes = any(each.name in {"alive", *OF_STANDSTILL} for each in failed)
    suspects = sorted(_suspects(run), key=_order) if of_processes else ()
    loss = loss_of_sidecar(run)
    if loss is not None and not any(_came_before(each, loss) for each in suspects):
        return _of_sidecar(loss, suspects)
    if not suspects:
        return _of_check(failed, run)
    return _of_suspects(suspects, run)


def _order(suspect: Suspect) -> tuple[int, float, int, int]:
    rank = -1 if suspect.rank is None else suspect.rank
    return suspect.weight, suspect.at_s, suspect.node_rank, rank


def _suspects(run: Run) -> Iterable[Suspect]:
    said = tuple(suspects_of_nodes(run))
    living = tuple(said_by_the_living(run))
    return (
        *said,
        *living,
        *suspects_of_joining(run, (*said, *living)),
        *_versions(run, said),
        *_left_behind(run, said),
        *suspects_of_a_hang(run, said),
    )


def _of_suspects(suspects: Sequence[Suspect], run: Run) -> Diagnosis:
    first = suspects[0]
    same = [each for each in suspects[1:] if _is_same(each, first)]
    rest = [each for each in suspects[1:] if each not in same]
    own = (each for each in rest if (each.node_rank, each.rank) == (first.node_rank, first.rank))
    evidence = dict.fromkeys(line for each in (first, *same, *own) for line in each.evidence)
    return Diagnosis(
        first.id,
        first.node_rank,
        run.facts.desired.nodes[first.node_rank].name,
        first.rank,
        tuple(sorted({each.rank for each in same if each.rank is not None} - {first.rank})),
        first.what,
        first.why,
        first.mend,
        first.at_s,
        first.weight,
        tuple(sorted(evidence, key=lambda line: line.at_s))[:MAX_EVIDENCE],
        _consequences(first, rest),
    )


def _came_before(suspect: Suspect, loss: SidecarLoss) -> bool:
    """True for what a lost sidecar cannot have brought about."""
    return suspect.weight is Weight.PRIMARY and suspect.at_s < loss.at_s - SAME_MOMENT_S


def _of_sidecar(loss: SidecarLoss, suspects: Sequence[Suspect]) -> Diagnosis:
    """What every rank leans on was lost: what they met then, they met because of that."""
    first = Suspect("sidecar-lost", Weight.PRIMARY, loss.at_s, -1, None, loss.found)
    return Diagnosis(
        first.id,
        None,
        loss.who,
        None,
        (),
        loss.found,
        "the ranks cannot use their GPU without it",
        "apply again: it replaces the daemon and the gang; its own log is kept beside theirs",
        loss.at_s,
        Weight.PRIMARY,
        consequences=_consequences(first, suspects),
    )


def _is_same(one: Suspect, other: Suspect) -> bool:
    return (one.id, one.what) == (other.id, other.what)


def _consequences(first: Suspect, rest: Sequence[Suspect]) -> tuple[str, ...]:
    """What the others met, once for each of them, in the order of time."""
    told: dict[tuple[int, int | None], str] = {}
    for each in sorted(rest, key=lambda each: each.at_s):
        key = (each.node_rank, each.rank)
        if key == (first.node_rank, first.rank) or key in told or each.id == NEVER_INIT:
            continue  # who has not come yet has met nothing
        who = f"node {each.node_rank}" if each.rank is None else f"rank {each.rank}"
        later_s = each.at_s - first.at_s
        when = f", {later_s:.1f} s later" if later_s >= 0 else ""
        told[key] = f"{who} {each.what}{when}"
    return tuple(told.values())[:MAX_CONSEQUENCES]


def _left_behind(run: Run, said: Sequence[Suspect]) -> Iterable[Suspect]:
    """Nodes that ended well before others lost them, where nobody names another cause."""
    if not said or run.joined_at_s is None:
        return ()
    if any(each.weight is not Weight.SECONDARY for each in said):
        return ()
    lost_at_s = min(each.at_s for each in said)
    return tuple(
        left_early(run, rank)
        for node in run.nodes
        if node.has_finished_well and (node.finished_at_s or 0.0) <= lost_at_s + SAME_MOMENT_S
        for rank in run.facts.desired.nodes[node.node_rank].ranks
    )


def _versions(run: Run, said: Sequence[Suspect]) -> Iterable[Suspect]:
    """A rank whose torch is not that of rank 0, where nobody names another cause."""
    first = run.facts.ranks[0].torch
    if first is None or any(each.weight is Weight.PRIMARY for each in said):
        return ()
    return tuple(
        Suspect(
            "versions-differ",
            Weight.LIKELY,
            facts.phases.get(Phase.TORCH, run.started_at_s),
            run.node_of(rank),
            rank,
            f"has {_version(facts.torch)}, rank 0 has {_version(first)}",
            "nodes run different images, or a mount or PYTHONPATH brings another torch",
            "use one image and one torch for all nodes",
        )
        for rank, facts in run.facts.ranks.items()
        if facts.torch is not None and _version(facts.torch) != _version(first)
    )


def _version(torch: TorchImported) -> str:
    parts = (("torch", torch.torch), ("CUDA", torch.cuda), ("NCCL", torch.nccl))
    return " ".join(f"{name} {value}" for name, value in parts if value)


def _of_the_run(result: CheckResult, run: Run) -> Diagnosis:
    """A check that blames no rank."""
    return Diagnosis(
        f"check-{result.name}",
        None,
        "",
        None,
        (),
        f"fails check {result.name}",
        result.why,
        "",
        run.now_s,
        Weight.PRIMARY,
    )


def _of_check(failed: Sequence[CheckResult], run: Run) -> Diagnosis:
    """Every node is in order, and what they report is not."""
    result = next((each for each in failed if each.findings), None)
    if result is None:
        return _of_the_run(failed[0], run)
    first = result.findings[0]
    also = (each.rank for each in result.findings[1:] if each.found == first.found)
    return Diagnosis(
        f"check-{result.name}",
        first.node_rank,
        run.facts.desired.nodes[first.node_rank].name,
        first.rank,
        tuple(rank for rank in also if rank is not None),
        f"fails check {result.name}",
        f"expected {first.expected}; found {first.found}",
        MENDS.get(result.name, ""),
        run.now_s,
        Weight.PRIMARY,
        consequences=tuple(
            f"check {each.name}: {each.why}" for each in failed if each is not result
        ),
    )
