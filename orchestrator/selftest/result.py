"""How a mode did: what was to be shown, and which GPUs ranks were given and used. Pure."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from orchestrator.run import Outcome
from orchestrator.selftest.trials import Trial
from orchestrator.verify.facts import RunFacts
from orchestrator.watch import Judgement

Status = Literal["ok", "failed", "not possible"]


class RankGpu(Struct, frozen=True):
    """One rank: the GPUs that its node was given, the one that it says it uses, what it summed."""

    rank: int
    given: tuple[str, ...]
    used: str
    backend: str
    rank_sum: int | None

    @property
    def fault(self) -> str:
        """What is wrong with it; empty where it uses what it was given."""
        if self.rank_sum is None:
            return f"rank {self.rank} did not join"
        if not self.used:
            return f"rank {self.rank} does not say which GPU it uses"
        if self.used not in self.given:
            return f"rank {self.rank} was given {', '.join(self.given)} and uses {self.used}"
        return ""


class ModeResult(Struct, frozen=True):
    """How one mode did; `checks` are `{check: its status}`, `why` what failed first."""

    mode: str
    status: Status
    why: str = ""
    checks: tuple[tuple[str, str], ...] = ()
    ranks: tuple[RankGpu, ...] = ()
    took_s: float = 0.0
    run_dir: str = ""


def not_possible(trial: Trial) -> ModeResult:
    """A mode that the hardware does not allow."""
    return ModeResult(trial.mode, "not possible", trial.obstacle)


def failed(trial: Trial, why: str, took_s: float) -> ModeResult:
    """A mode in which no run came about."""
    return ModeResult(trial.mode, "failed", why, took_s=took_s)


def result_of(trial: Trial, outcome: Outcome) -> ModeResult:
    """What a run has shown."""
    judgement = outcome.judgement
    if judgement is None:  # pragma: no cover - an apply that waits has one
        return failed(trial, "the run was not followed", outcome.took_s)
    ranks = _ranks(judgement.run.facts)
    why = _why(judgement) or next((each.fault for each in ranks if each.fault), "")
    return ModeResult(
        trial.mode,
        "failed" if why else "ok",
        why,
        tuple((each.name, each.status.value) for each in judgement.results),
        ranks,
        outcome.took_s,
        outcome.run_dir,
    )


def _why(judgement: Judgement) -> str:
    if judgement.holds:
        return ""
    return judgement.diagnosis.headline if judgement.diagnosis else judgement.failure


def _ranks(facts: RunFacts) -> tuple[RankGpu, ...]:
    return tuple(
        _rank(facts, rank, node.gpu_uuids) for node in facts.desired.nodes for rank in node.ranks
    )


def _rank(facts: RunFacts, rank: int, given: tuple[str, ...]) -> RankGpu:
    said = facts.ranks[rank]
    used = said.gpu or ""
    if not said.joins:
        return RankGpu(rank, given, used, "", None)
    join = said.joins[0][1]
    return RankGpu(rank, given, used, join.backend, join.rank_sum)
