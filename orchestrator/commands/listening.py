"""The verb logs: what the nodes wrote, merged by time, from an engine or from what was kept."""

from __future__ import annotations

import heapq
import json
import queue
import threading
import time
from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from itertools import islice
from pathlib import Path

from msgspec import Struct

from orchestrator.archive import node_rank_of, run_folders, saved_logs
from orchestrator.choose import EngineName, engines_for
from orchestrator.display.console import Console
from orchestrator.display.merge import Merger
from orchestrator.display.picking import ALL_LINES, Part, Picker, Wanted
from orchestrator.engines.base import Engine
from orchestrator.errors import ExitCode, NoSuchProject
from orchestrator.kept.files import RUN_FILE
from orchestrator.kept.stamped import KeptNode
from orchestrator.loglines import LogEnd, LogLine
from orchestrator.redaction import redacted_document
from orchestrator.state.observed import ObservedNode
from orchestrator.teardown import Placed, find_projects, is_path, select

TURN_S = 0.05
"""How long to wait for a line before looking at those that are held back."""

QUEUE_LINES = 10_000
READER_END_S = 5.0
MAX_RUN_BYTES = 64 * 1024 * 1024


class LogsOptions(Struct, frozen=True):
    """The options of logs. `tail` None: all lines there are."""

    engine: EngineName = EngineName.AUTO
    wanted: Wanted = ALL_LINES
    tail: int | None = None
    follow: bool = False
    raw: bool = False
    run_id: str | None = None
    as_json: bool = False


def logs_verb(project: str | None, options: LogsOptions) -> ExitCode:
    """Print the logs of a project's nodes, or those kept of a run of it."""
    console = Console()
    console.shows_records = options.wanted.records or bool(options.wanted.events)
    found = find_projects(engines_for(options.engine, console.say_error))
    chosen = [placed for placed in select(found, project) if placed.summary.is_mine]
    shown = [each for each in (_gang(placed, options) for placed in chosen) if each]
    if not shown:
        return _show_kept(console, project or _only(chosen), options, found)
    for gang in shown:
        _show_gang(console, gang, options)
    return ExitCode.CONVERGED


class _Gang(Struct, frozen=True):
    """The nodes of a project that are there, of one run."""

    placed: Placed
    nodes: tuple[ObservedNode, ...]

    @property
    def engine(self) -> Engine:
        return self.placed.engine


def _gang(placed: Placed, options: LogsOptions) -> _Gang | None:
    """The nodes whose logs are asked for; None where another run is asked for than is there.

    Raises:
        NoSuchProject: there is no such node.
    """
    nodes = placed.engine.observe_nodes(placed.summary.name)
    if options.run_id and all(node.run_id != options.run_id for node in nodes):
        return None
    wanted = options.wanted.nodes
    if missing := wanted - {node.node_rank for node in nodes}:
        raise NoSuchProject(f"{placed} has no node {min(missing)}")
    picked = [node for node in nodes if not wanted or node.node_rank in wanted]
    return _Gang(placed, tuple(picked))


def _show_gang(console: Console, gang: _Gang, options: LogsOptions) -> None:
    picker = Picker(options.wanted, gang.nodes[0].spec.num_ranks if gang.nodes else 1)
    console.num_ranks = picker.num_ranks
    written = _written(gang.engine, gang.nodes)
    parts = _parts(picker, sorted(written, key=_at))
    _show(console, _tail(parts, options.tail), options)
    if options.follow:
        with closing(_new_lines(gang.engine, gang.nodes, written)) as lines:
            _show(console, _parts(picker, lines), options)
    elif not written:
        console.say_error(f"{gang.placed}: nothing was written yet")


def _written(engine: Engine, nodes: Sequence[ObservedNode]) -> list[LogLine]:
    """All that the nodes have written so far, node by node."""
    items: list[LogLine | LogEnd] = []
    engine.read_logs(nodes, items.append)
    return [each for each in items if isinstance(each, LogLine)]


def _at(line: LogLine) -> float:
    return line.at_s


def _parts(picker: Picker, lines: Iterable[LogLine]) -> Iterator[Part]:
    for line in lines:
        yield from picker.parts(line)


def _tail(parts: Iterator[Part], number: int | None) -> Iterable[Part]:
    return parts if number is None else deque(parts, maxlen=number)


def _show(console: Console, parts: Iterable[Part], options: LogsOptions) -> None:
    for part in parts:
        if options.as_json:
            print(json.dumps(redacted_document(part.document()), ensure_ascii=True), flush=True)  # noqa: T201
        else:
            console.show_part(part.line, part.text, raw=options.raw)


# -- lines to come ---------------------------------------------------------------


def _new_lines(
    engine: Engine, nodes: Sequence[ObservedNode], written: Sequence[LogLine]
) -> Generator[LogLine]:
    """The lines that come after those that were written, merged, until every node has ended."""
    known = Counter(line.node_rank for line in written)
    last = {line.node_rank: line.text for line in written}
    merger: Merger[LogLine] = Merger()
    for line in _followed(engine, nodes):
        if line is not None:
            known[line.node_rank] -= 1
            left = known[line.node_rank]
            # One that had not come to its end when it was read is shown again, whole.
            if left < 0 or (left == 0 and line.text != last[line.node_rank]):
                merger.add(line.at_s, line, time.monotonic())
        yield from merger.take(time.monotonic())
    yield from merger.take_all()


def _followed(engine: Engine, nodes: Sequence[ObservedNode]) -> Iterator[LogLine | None]:
    """Every line as it comes; None now and then while none does."""
    arrivals: queue.Queue[LogLine | Exception | None] = queue.Queue(QUEUE_LINES)
    stop = threading.Event()

    def hand_over(item: LogLine | LogEnd | Exception | None) -> None:
        while not isinstance(item, LogEnd) and not stop.is_set():
            with suppress(queue.Full):
                arrivals.put(item, timeout=0.2)
                return

    def read() -> None:
        try:
            engine.follow_logs(nodes, hand_over, stop)
            hand_over(None)
        except Exception as exc:  # noqa: BLE001  (raised again where the lines are taken)
            hand_over(exc)

    thread = threading.Thread(target=read, name="log reader", daemon=True)
    thread.start()
    try:
        yield from _taken(arrivals)
    finally:
        stop.set()
        thread.join(timeout=READER_END_S)


def _taken(arrivals: queue.Queue[LogLine | Exception | None]) -> Iterator[LogLine | None]:
    while True:
        try:
            item = arrivals.get(timeout=TURN_S)
        except queue.Empty:
            yield None
            continue
        if item is None:
            return
        if isinstance(item, Exception):
            raise item
        yield item


# -- runs that are gone ----------------------------------------------------------


def _only(chosen: Sequence[Placed]) -> str | None:
    return chosen[0].summary.name if chosen else None


def _show_kept(
    console: Console, project: str | None, options: LogsOptions, found: Sequence[Placed]
) -> ExitCode:
    paths = saved_logs(_name_of(project), options.run_id) if project else ()
    if not paths:
        raise _unknown(project, options.run_id, found)
    folder = paths[0].parent
    console.say_error(f"the nodes are gone; these logs were kept in {folder}")
    picker = Picker(options.wanted, _num_ranks(folder))
    console.num_ranks = picker.num_ranks
    nodes = [KeptNode(folder, node_rank_of(path), started_at_s=0.0) for path in paths]
    lines = heapq.merge(*(node.lines() for node in nodes), key=_at)
    _show(console, _tail(_parts(picker, lines), options.tail), options)
    return ExitCode.CONVERGED


def _unknown(project: str | None, run_id: str | None, found: Sequence[Placed]) -> NoSuchProject:
    if project and run_id:
        kept = islice((folder.name for folder in run_folders(_name_of(project))), 10)
        return NoSuchProject(
            f"no run {run_id} of project {project} is here or was kept",
            fix=f"kept here: {', '.join(kept) or 'none'}",
        )
    listed = ", ".join(str(placed) for placed in found) or "none"
    return NoSuchProject(
        f"there is no project {project or 'at all'} here", fix=f"projects here: {listed}"
    )


def _num_ranks(folder: Path) -> int:
    """How many ranks each node of a kept run has; 1 where that was lost."""
    try:
        with (folder / RUN_FILE).open("rb") as file:
            kept = json.loads(file.read(MAX_RUN_BYTES))
    except (OSError, ValueError, RecursionError):
        return 1
    match kept:
        case {"nodes": [{"num_ranks": int(number)}, *_]} if number >= 1:
            return number
        case _:
            return 1


def _name_of(project: str) -> str:
    """The project that a name or a playbook's path means, once its nodes are gone."""
    if not (is_path(project) and Path(project).is_file()):
        return project
    from orchestrator.playbook.loader import load

    return load(Path(project)).playbook.name
