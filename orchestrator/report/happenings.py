"""Kept events -> what was done, in a line each. Pure.

What comes from a file may be of any shape: an event that is not as it was written is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import isfinite
from typing import Any

from orchestrator.report.model import Happening, Tone

MAX_HAPPENINGS = 2_000
"""Of more, the latest: the end tells more than the beginning."""

_TONES: dict[str, Tone] = {"ok": "good", "failed": "bad"}


def happenings(events: Iterable[dict[str, Any]], zero_s: float) -> tuple[Happening, ...]:
    """What was done, in the order in which it was told."""
    found = []
    for event in events:
        at_s = event.get("at_s")
        if not isinstance(at_s, float) or not isfinite(at_s):
            continue
        if (told := _told(event)) is not None:
            found.append(Happening(at_s - zero_s, *told))
    return tuple(found[-MAX_HAPPENINGS:])


def _told(event: dict[str, Any]) -> tuple[str, Tone] | None:
    match event:
        case {"event": "plan_made", "plan": dict(counts)}:
            return f"plan: {_counts(counts)}", "plain"
        case {"event": "action_done", "action": dict(action), "took_s": float(took_s)}:
            return f"{_action(action)}, in {took_s:.2f} s", "plain"
        case {"event": "action_failed", "action": dict(action), "reason": str(reason)}:
            return f"{_action(action)}: {reason}", "bad"
        case {"event": "attempt_began", "nodes": list(nodes)}:
            return f"{len(nodes)} nodes are followed", "plain"
        case {"event": "check_changed", "result": {"name": str(name), "why": str(why)}}:
            status = str(event["result"].get("status"))
            return f"check {name} {status}: {why}", _TONES.get(status, "plain")
        case _:
            return _told_of_nodes(event)


def _told_of_nodes(event: dict[str, Any]) -> tuple[str, Tone] | None:
    match event:
        case {"event": "node_ended", "node": {"name": str(name), "exit_code": int(code)}}:
            return f"{name} ended with {code}", "plain" if code == 0 else "bad"
        case {"event": "failure_diagnosed", "diagnosis": {"what": str(what)}}:
            node = event["diagnosis"].get("node")
            return f"diagnosis: {node or 'the run'} {what}", "bad"
        case {"event": "attempt_judged", "results": list(results)}:
            return _judged(results)
        case _:
            return _told_of_runs(event)


def _told_of_runs(event: dict[str, Any]) -> tuple[str, Tone] | None:
    match event:
        case {"event": "machine_warned", "about": str(about), "found": str(found)}:
            return f"warning: {about}: {found}", "plain"
        case {"event": "gang_stopped", "node_names": list(names), "took_s": float(took_s)}:
            return f"{len(names)} nodes stopped, in {took_s:.2f} s", "plain"
        case {"event": "restart_decided", "restart": {"number": int(number), "cause": str(cause)}}:
            return f"restart {number} is decided: {cause}", "bad"
        case {"event": "gang_restarted", "restart": {"number": int(number)}}:
            return f"gang started again, restart {number}", "plain"
        case {"event": "reference_ran", "project": str(project), "failure": str(failure)}:
            said = failure or "its losses are there"
            return f"{project}: {said}", "bad" if failure else "plain"
        case _:
            return None  # progress and waiting are of no use afterwards


def _counts(counts: dict[str, Any]) -> str:
    told = [f"{num} to {change}" for change, num in counts.items() if num and change != "keep"]
    return ", ".join(told) or "nothing to do"


def _action(action: dict[str, Any]) -> str:
    kind = str(action.get("kind", "")).replace("_", " ")
    cause = action.get("cause", "")  # none where fields differ, which the plan lists
    return f"{kind} {action.get('name', '')}" + (f" ({cause})" if cause else "")


def _judged(results: list[Any]) -> tuple[str, Tone]:
    statuses = [each.get("status") for each in results if isinstance(each, dict)]
    failed = statuses.count("failed")
    if failed:
        return f"judged: {failed} of {len(statuses)} checks failed", "bad"
    skipped = statuses.count("skipped")
    if skipped:
        return f"judged: {skipped} of {len(statuses)} checks not reached", "plain"
    return f"judged: all {len(statuses)} checks hold", "good"


def planned(document: object) -> Iterator[tuple[str, str, str, str]]:
    """The objects of a kept plan: what was to become of each, its kind, its name, and why."""
    objects = document.get("objects") if isinstance(document, dict) else None
    for each in objects if isinstance(objects, list) else ():
        match each:
            case {"action": str(action), "kind": str(kind), "name": str(name)}:
                yield action, kind, name, str(each.get("cause", ""))
            case _:
                pass
