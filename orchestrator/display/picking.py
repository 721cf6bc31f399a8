"""Which of the lines that nodes wrote a reader wants to see. Pure, but for what came before.

A line of a node is its script's own text, a record, or both, one behind the other. What is
asked of a level, a kind or a rank is asked of each of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct, field

from orchestrator.loglines import LogLine
from orchestrator.printable import fields_of, shown_parts

LEVELS: Final = ("debug", "info", "warning", "error", "critical")

_WORDS = {
    **{level: level for level in LEVELS},
    "warn": "warning",
    "fatal": "critical",
    "exception": "error",
    "trace": "debug",
}
# As Python's logging, structlog and loguru begin a line, time and name in front of it or not.
_WORD = re.compile(
    r"(?<![\w.-])(DEBUG|INFO|WARN|WARNING|ERROR|CRITICAL|FATAL)(?![\w.=-])"
    r"|\[(debug|info|warning|error|critical) *\]"
    r"|\w*(Warning): "
)
# As glog does, and with it torch's C++ and torchrun: `[W1126 03:00:00.1 …` and `E1126 03:…`.
_GLOG = re.compile(r"\[?(?:\[?(?:rank|default)\d+\]: ?)?\[?(?P<letter>[IWEF])\d{4} \d\d:\d\d")
_GLOG_LEVELS = {"I": "info", "W": "warning", "E": "error", "F": "critical"}
_RAISED = re.compile(
    r"(\[(rank|default)\d+\]: ?)?(Traceback \(most recent call last\):|[\w.]*Error: )"
)
_OF_RANK = re.compile(r"\[rank(?P<rank>\d{1,7})\]:|\[default(?P<local>\d{1,7})\]:")
_HEAD_CHARS = 120

_EVENT_LEVELS = {"rank_failed": "error", "probe_fault": "warning", "stacks": "warning"}


class Wanted(Struct, frozen=True):
    """What a reader asks for; what is empty asks for nothing.

    Attributes:
        nodes: of these nodes alone.
        ranks: of these ranks alone, as far as a line tells whose it is.
        level: as grave as that, or graver.
        events: records of these kinds alone.
        since_s: not older, in seconds since the epoch.
        records: also what the probe reports.
    """

    nodes: frozenset[int] = frozenset()
    ranks: frozenset[int] = frozenset()
    level: str = ""
    events: frozenset[str] = frozenset()
    since_s: float = 0.0
    records: bool = False


ALL_LINES: Final = Wanted()


class Part(Struct, frozen=True):
    """A line, or what of it is a record: as it was written, and what is known of it."""

    line: LogLine
    text: bytes
    rank: int | None
    level: str
    record: dict[str, Any] | None

    def document(self) -> dict[str, Any]:
        """For `logs --json`: the text, or the record where it is one."""
        known = {
            "at_s": self.line.at_s,
            "node_rank": self.line.node_rank,
            "rank": self.rank,
            "level": self.level,
        }
        if self.record is not None:
            return known | {"record": self.record}
        return known | {"text": self.text.decode("utf-8", "replace").rstrip("\r")}


class Picker(Struct):
    """Picks from the lines of a gang, each node's in their order.

    Args:
        wanted: what is asked for.
        num_ranks: in each node.
    """

    wanted: Wanted
    num_ranks: int = 1
    _levels: dict[int, str] = field(default_factory=dict)

    def parts(self, line: LogLine) -> Iterator[Part]:
        """What of a line is wanted."""
        wanted = self.wanted
        if wanted.nodes and line.node_rank not in wanted.nodes:
            return
        for text in shown_parts(line.text, records=wanted.records or bool(wanted.events)):
            part = self._part(line, text)
            if line.at_s >= wanted.since_s and self._is_wanted(part):
                yield part

    def _part(self, line: LogLine, text: bytes) -> Part:
        fields = fields_of(text)
        record = fields if isinstance(fields.get("event"), str) else None
        level = self._level(line, text, record)
        return Part(line, text, self._rank(line, text, record), level, record)

    def _is_wanted(self, part: Part) -> bool:
        wanted = self.wanted
        if wanted.ranks and part.rank not in wanted.ranks:
            return False
        if wanted.level and LEVELS.index(part.level) < LEVELS.index(wanted.level):
            return False
        return not wanted.events or (
            part.record is not None and part.record["event"] in wanted.events
        )

    def _rank(self, line: LogLine, text: bytes, record: dict[str, Any] | None) -> int | None:
        """Whose line it is; None where a node has several ranks and the line does not say."""
        if self.num_ranks == 1:
            return line.node_rank
        if record is not None:
            rank = record.get("rank")
            return rank if isinstance(rank, int) and not isinstance(rank, bool) else None
        match = _OF_RANK.match(text[:_HEAD_CHARS].decode("utf-8", "replace"))
        if match is None:
            return None
        if match["rank"] is not None:
            return int(match["rank"])
        return line.node_rank * self.num_ranks + int(match["local"])

    def _level(self, line: LogLine, text: bytes, record: dict[str, Any] | None) -> str:
        if record is not None:
            said = str(record.get("level", "")).lower()
            return _WORDS.get(said) or _EVENT_LEVELS.get(str(record["event"]), "info")
        head = text[:_HEAD_CHARS].decode("utf-8", "replace")
        # What is indented goes on with the line before, as the frames of a traceback do.
        is_more = line.continued or head[:1] in {" ", "\t"}
        level = self._levels.get(line.node_rank, "info") if is_more else level_of(head)
        self._levels[line.node_rank] = level
        return level


def level_of(head: str) -> str:
    """How grave a line of text is, by how it begins; `info` where it does not say."""
    if glog := _GLOG.match(head):
        return _GLOG_LEVELS[glog["letter"]]
    if _RAISED.match(head):
        return "error"
    if word := _WORD.search(head):
        return _WORDS[(word[1] or word[2] or word[3]).lower()]
    return "info"
