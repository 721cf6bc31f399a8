"""Whatever happens in a run, in whatever order: an answer that is well-formed, or none."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.playbook.models import Completed, Joined, Progress
from orchestrator.verify.checks import evaluate
from orchestrator.verify.diagnose import MAX_CONSEQUENCES, MAX_EVIDENCE, diagnose
from orchestrator.verify.results import Status
from orchestrator.verify.signatures import signatures
from tests.unit.verify.story import RUN_ID, Story

CHECKS = (Joined(within_s=20.0), Progress(every_s=5.0), Completed(within_s=40.0))
NUM_NODES = 3

_EXAMPLES = [each.example for each in signatures() if each.example]
_LINES = [
    "RuntimeError: Connection closed by peer [10.0.0.1]:4",
    "Timed out after 11 seconds waiting for clients. 2/3 clients joined.",
    "client socket has timed out after 9ms while trying to connect to (\x1b[2J, 1)",
    "failed to connect to any network address of (x, 29500).",
    "wait timeout after 10ms, keys: /a",
    "[rank7]: ValueError: {what}",
    "ValueError:",
]
_RECORDS = [
    {"event": "interpreter_started"},
    {"event": "torch_imported", "torch": "2.13.0"},
    {"event": "torch_imported", "torch": "2.9.1"},
    {"event": "rendezvous_started", "master_addr": "pair-node-0", "world_size": NUM_NODES},
    {"event": "rendezvous_started", "master_addr": "localhost", "world_size": 7},
    {"event": "name_resolved", "error": "no"},
    {"event": "stacks", "threads": {}},
    {"event": "stacks", "call": "barrier", "threads": {"MainThread": ["a.py:1 f"]}},
    {"event": "stacks", "threads": {"MainThread": []}},
    {"event": "step", "step": 3},
    {"event": "training_finished"},
    {"event": "rank_failed", "reason": "", "traceback": 'File "a", line 1, in b'},
    {
        "event": "process_group_joined",
        "world_size": NUM_NODES,
        "backend": "gloo",
        "master_addr": "pair-node-0",
        "rank_sum": 3,
    },
]

_nodes = st.integers(0, NUM_NODES - 1)
_said = st.tuples(st.just("line"), _nodes, st.sampled_from(_LINES + _EXAMPLES) | st.text())
_reported = st.tuples(
    st.just("record"), _nodes, st.tuples(st.sampled_from(_RECORDS), st.none() | _nodes)
)
_ended = st.tuples(st.just("end"), _nodes, st.sampled_from([0, 1, 127, 134, 137, 139, 143]))
_changed = st.tuples(st.just("oom"), _nodes, st.just(None))
_vanished = st.tuples(st.just("vanish"), _nodes, st.just(None))


@given(st.lists(_said | _reported | _ended | _changed | _vanished, max_size=30))
def test_a_failure_has_one_well_formed_answer(events: list[tuple[str, int, object]]) -> None:
    story = Story(NUM_NODES)
    for at_s, (kind, node, what) in enumerate(events, start=1):
        _happen(story, float(at_s), kind, node, what)
    run = story.at(31.0)
    results = evaluate(CHECKS, run)
    found = diagnose(results, run)
    has_failed = any(result.status is Status.FAILED for result in results)
    assert (found is not None) == has_failed
    if found is None:
        return
    assert found.rank is None or found.rank == found.node_rank
    assert found.rank not in found.also
    assert len(found.evidence) <= MAX_EVIDENCE
    assert len(found.consequences) <= MAX_CONSEQUENCES
    assert found.headline.startswith(found.who)
    assert "\n" not in found.headline
    assert json.dumps(found.document())


def _happen(story: Story, at_s: float, kind: str, node: int, what: object) -> None:
    if node not in story.nodes:
        return
    match kind, what:
        case "line", str(text):
            story.say(node, at_s, text.replace("\n", " ").encode(errors="replace"))
        case "record", (dict(fields), rank):
            record = {"run_id": RUN_ID, "source": "probe", "rank": node if rank is None else rank}
            story.say(node, at_s, json.dumps(record | fields))
        case "end", int(code):
            story.end(node, code, at_s)
        case "oom", _:
            story.stand(node, oom_killed=True)
        case _:
            story.vanish(node)
