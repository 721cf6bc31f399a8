"""No line of the corpus is believed, hurts the reader, or reaches a terminal as more than text."""

from __future__ import annotations

import gc
import io
import json
import re
import tracemalloc
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from orchestrator.display.console import Console
from orchestrator.engines.lines import CHUNK_BYTES, LineCutter
from orchestrator.loglines import LogLine
from orchestrator.playbook.models import Joined, Training
from orchestrator.state.observed import NodeStatus, ObservedNode
from orchestrator.verify.checks import Run, evaluate
from orchestrator.verify.facts import RunFacts
from orchestrator.verify.results import Status
from tests.adversarial.corpus import JOIN, RUN_ID, STEP, Attack, Fields, attacks
from tests.unit.fakes import desired_state

DESIRED = desired_state(2)
START_S = 1000.0
CHECKS = (Joined(within_s=60.0), Training(steps=1))
NODES = tuple(
    ObservedNode(f"id-{spec.node_rank}", spec, RUN_ID, "", NodeStatus.RUNNING, started_at_s=START_S)
    for spec in DESIRED.nodes
)
SUM_OF_RANK_0 = {"rank": 0, "hostname": "pair-node-0"}


def corpus() -> Iterator[Attack]:
    """All of it, made anew: to hold it would take more memory than reading it may."""
    yield from attacks(JOIN)
    yield from attacks(STEP)


def say(facts: RunFacts, node_rank: int, fields: Fields) -> None:
    facts.add(LogLine(node_rank, START_S + 1, b"\x1e" + json.dumps(fields).encode()))


def attack(facts: RunFacts, each: Attack) -> None:
    for text, continued in each.pieces:
        facts.add(LogLine(1, START_S + 2, text, continued))


def statuses(facts: RunFacts) -> tuple[Status, Status]:
    """What becomes of the checks `joined` and `training`."""
    _, joined, training = evaluate(CHECKS, Run(facts, NODES, START_S + 3))
    return joined.status, training.status


def one_joined() -> RunFacts:
    """Rank 0 has joined; rank 1 has not."""
    facts = RunFacts(DESIRED, RUN_ID)
    say(facts, 0, JOIN | SUM_OF_RANK_0)
    return facts


def one_trains() -> RunFacts:
    """Both ranks have joined; rank 0 has done a step, rank 1 has not."""
    facts = one_joined()
    say(facts, 1, JOIN)
    say(facts, 0, STEP | {"rank": 0})
    return facts


def test_the_records_that_the_corpus_is_made_from_are_believed() -> None:
    facts = one_joined()
    assert statuses(facts) == (Status.PENDING, Status.PENDING)
    say(facts, 1, JOIN)
    assert statuses(facts) == (Status.OK, Status.PENDING)
    facts = one_trains()
    say(facts, 1, STEP)
    assert statuses(facts) == (Status.OK, Status.OK)


def test_no_attack_is_a_join() -> None:
    believed = []
    for each in attacks(JOIN):
        facts = one_joined()
        attack(facts, each)
        if statuses(facts)[0] is Status.OK:
            believed.append(each.name)
    assert believed == []


def test_no_attack_is_a_step() -> None:
    believed = []
    for each in attacks(STEP):
        facts = one_trains()
        attack(facts, each)
        if statuses(facts)[1] is Status.OK:
            believed.append(each.name)
    assert believed == []


def test_what_is_no_record_of_its_rank_does_not_keep_an_honest_one_from_counting() -> None:
    spoiled = []
    for each in attacks(JOIN):
        facts = one_joined()
        attack(facts, each)
        has_reported = facts.ranks[1].num_joins > 0
        say(facts, 1, JOIN)
        if not has_reported and statuses(facts)[0] is not Status.OK:
            spoiled.append(each.name)
    assert spoiled == []


def test_rank_0_stays_what_it_was_whatever_another_node_says_of_it() -> None:
    facts, untouched = one_trains(), one_trains()
    for each in corpus():
        attack(facts, each)
    assert facts.ranks[0] == untouched.ranks[0]


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("records", [False, True])
def test_what_a_terminal_gets_of_it_is_text(records: bool, raw: bool) -> None:
    screen = io.StringIO()
    console = Console(screen)
    console.shows_records = records
    for each in corpus():
        if each.num_bytes < 20_000:
            for text, continued in each.pieces:
                console.show_log(LogLine(1, START_S, text, continued), raw=raw)
    assert {char for char in set(screen.getvalue()) if _steers(char)} <= {"\n", "\t"}


def _steers(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def grown_bytes(work: Callable[[], object]) -> tuple[int, int]:
    """How much more is held after `work` than before, and at most during it."""
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        work()
        gc.collect()
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return after - before, peak - before


def test_reading_the_corpus_again_takes_no_more_memory() -> None:
    facts = one_joined()
    some = [each for each in corpus() if each.num_bytes < 20_000][::5]

    def read() -> None:
        for each in some:
            attack(facts, each)

    read()  # what is kept of it is kept now
    held, peak = grown_bytes(read)
    assert held < 64 * 1024
    assert peak < 2 * 1024 * 1024


ENDLESS = {
    "nothing but text": lambda: b"x" * CHUNK_BYTES,
    "RS and text": lambda: (b"\x1e{" + b"x" * 1022) * (CHUNK_BYTES // 1024),
    "a record that never ends": lambda: b'"a":1,' * (CHUNK_BYTES // 6),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_a_line_that_never_ends_is_read_in_bounded_memory(name: str) -> None:
    facts, cutter = one_joined(), LineCutter()
    chunk = ENDLESS[name]()

    def lines() -> Iterable[LogLine]:
        yield from (LogLine(1, START_S, *piece) for piece in cutter.feed(b"\x1e{"))
        for _ in range(512):  # 32 MiB
            yield from (LogLine(1, START_S, *piece) for piece in cutter.feed(chunk))

    def read() -> None:
        for line in lines():
            facts.add(line)

    held, peak = grown_bytes(read)
    assert (held < 512 * 1024, peak < 2 * 1024 * 1024) == (True, True), (held, peak)


def test_the_page_says_how_many_there_are() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "records.md").read_text()
    counts = re.findall(r"([\d,]+) attacks, ([\d,]+) on `joined`", page)
    num_all, num_on_joined = sum(1 for _ in corpus()), sum(1 for _ in attacks(JOIN))
    assert counts == [(f"{num_all:,}", f"{num_on_joined:,}")]
