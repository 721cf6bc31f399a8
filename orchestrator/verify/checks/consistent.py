"""All ranks run the same software with the same settings. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase

from orchestrator.playbook.health import Consistent
from orchestrator.state.desired import DesiredState
from orchestrator.verify.checks.run import Run, count, is_over, rank_findings
from orchestrator.verify.rank_facts import RankFacts
from orchestrator.verify.results import CheckResult, Finding, Status

OWN_TO_A_RANK = (
    "RANK",
    "LOCAL_RANK",
    "NODE_RANK",
    "GROUP_RANK",
    "ROLE_RANK",
    "ROLE_NAME",
    "TORCHELASTIC_*",
    "HOSTNAME",
    "PWD",
    "OLDPWD",
    "SHLVL",
    "_",
    "ORCHESTRATE_LOCAL_NODE",
    "ORCHESTRATE_SECRETS_DIR",
    "ORCHESTRATE_PROBE_*",
)
"""Variables that differ from rank to rank, or from node to node, in a run as it should be."""

GPU_VARIABLES = ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "ORCHESTRATE_GPUS")

MAX_NAMES = 8
"""Variables named in one finding; the others are counted."""

_VERSIONS: Mapping[str, Callable[[RankFacts], str | None]] = {
    "Python": lambda facts: facts.interpreter.python if facts.interpreter else None,
    "torch": lambda facts: facts.torch.torch if facts.torch else None,
    "CUDA": lambda facts: facts.torch.cuda if facts.torch else None,
    "NCCL": lambda facts: facts.torch.nccl if facts.torch else None,
}


def check_consistent(check: Consistent, run: Run) -> CheckResult:
    """Image, versions and environment are equal on all ranks, as far as they may not differ.

    It needs no join: versions that differ are a reason for a group that does not form.
    """
    findings = (*_images(run), *_versions(run), *_variables(check, run))
    if findings:
        odd = {finding.node_rank for finding in findings}
        why = f"{count(len(odd), 'node')} of {len(run.facts.nodes)} differs from the others"
        return CheckResult(check.kind, Status.FAILED, why, findings)
    silent = {rank: f for rank, f in run.facts.ranks.items() if not _is_known(f)}
    if silent:
        return _while_unknown(check, run, silent)
    return CheckResult(check.kind, Status.OK, _what_is_equal(run))


def _is_known(facts: RankFacts) -> bool:
    return facts.interpreter is not None and facts.knows_environment


def _while_unknown(check: Consistent, run: Run, silent: dict[int, RankFacts]) -> CheckResult:
    num_ranks = len(run.facts.ranks)
    if not is_over(run, silent, run.started_at_s + check.within_s):
        why = f"{num_ranks - len(silent)} of {count(num_ranks, 'rank')} told their environment"
        return CheckResult(check.kind, Status.PENDING, why)
    if all(facts.num_variables is None for facts in run.facts.ranks.values()):
        return CheckResult(check.kind, Status.SKIPPED, "no probe told a rank's environment")
    expected = f"versions and variables within {check.within_s:g} s"
    findings = rank_findings(run, silent, expected, _what_came)
    why = f"{len(silent)} of {count(num_ranks, 'rank')} did not tell their environment"
    return CheckResult(check.kind, Status.FAILED, why, findings)


def _what_came(facts: RankFacts) -> str:
    if facts.num_variables is None:
        return "nothing"
    return f"{len(facts.environment)} of {facts.num_variables} variables"


def _what_is_equal(run: Run) -> str:
    facts = run.facts.ranks[0]
    told = {name: value(facts) for name, value in _VERSIONS.items()}
    versions = ", ".join(f"{name} {value}" for name, value in told.items() if value)
    ranks = count(len(run.facts.ranks), "rank")
    return f"{versions} and {len(facts.environment)} variables on {ranks}"


def _images(run: Run) -> tuple[Finding, ...]:
    ids = {node.node_rank: node.image_id for node in run.nodes if node.image_id}
    return tuple(
        Finding(node_rank, None, f"image {usual[:19]}, as on node {like}", f"image {own[:19]}")
        for node_rank, (own, usual, like) in _outliers(ids).items()
    )


def _versions(run: Run) -> tuple[Finding, ...]:
    findings = []
    for name, value in _VERSIONS.items():
        told = {rank: value(facts) for rank, facts in run.facts.ranks.items()}
        known = {rank: version for rank, version in told.items() if version is not None}
        findings += [
            Finding(
                run.node_of(rank),
                rank,
                f"{name} {usual or 'left out'}, as on rank {like}",
                f"{name} {own or 'left out'}",
            )
            for rank, (own, usual, like) in _outliers(known).items()
        ]
    return tuple(findings)


def _outliers(values: Mapping[int, str]) -> dict[int, tuple[str, str, int]]:
    """`{who: (own value, most common value, the first who has it)}` of those that have another.

    Of two values that are equally common, the one of the lowest number counts.
    """
    ordered = dict(sorted(values.items()))
    if not ordered:
        return {}
    usual = Counter(ordered.values()).most_common(1)[0][0]
    like = next(who for who, value in ordered.items() if value == usual)
    return {who: (own, usual, like) for who, own in ordered.items() if own != usual}


def _variables(check: Consistent, run: Run) -> tuple[Finding, ...]:
    known = {rank: f.environment for rank, f in run.facts.ranks.items() if f.knows_environment}
    allowed = (*OWN_TO_A_RANK, *check.except_names, *_intended(run.facts.desired))
    differing: dict[int, list[str]] = {}
    for name in sorted(set().union(*known.values())):
        if any(fnmatchcase(name, pattern) for pattern in allowed):
            continue
        values = {rank: digests.get(name, "") for rank, digests in known.items()}
        for rank, (own, usual, _) in _outliers(values).items():
            what = "is not set" if not own else "differs" if usual else "is set here alone"
            differing.setdefault(rank, []).append(f"{name} {what}")
    return tuple(
        Finding(run.node_of(rank), rank, "the variables of the other ranks", _listed(names))
        for rank, names in sorted(differing.items())
    )


def _intended(desired: DesiredState) -> Iterable[str]:
    """Variables that the plan itself gives to some nodes only, or not the same to all.

    They come from `per_node` in the playbook: who writes them there wants them to differ.
    """
    envs = [dict(node.env) for node in desired.nodes]
    names = set().union(*envs)
    own = [name for name in names if len({env.get(name) for env in envs}) > 1]
    gpus = {node.gpus for node in desired.nodes}
    return (*own, *GPU_VARIABLES) if len(gpus) > 1 else own


def _listed(names: list[str]) -> str:
    more = len(names) - MAX_NAMES
    return ", ".join(names[:MAX_NAMES]) + (f" and {more} more" if more > 0 else "")
