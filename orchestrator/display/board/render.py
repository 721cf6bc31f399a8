"""A board -> what rich draws, for a terminal of a given size. A function of its arguments alone.

Colours are the terminal's own sixteen, so that they suit dark and light ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct
from rich.cells import cell_len, set_cell_size
from rich.console import Group
from rich.text import Text

from orchestrator.display.board.rows import Row, rows_of
from orchestrator.display.colours import RANK_COLOUR_NAMES
from orchestrator.printable import printable
from orchestrator.redaction import redacted

if TYPE_CHECKING:
    from orchestrator.display.board.model import Board, CheckView, TaskView

FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
SIGNS = {"ok": ("✓", "green"), "failed": ("✗", "red"), "skipped": ("-", "cyan")}
OPEN = ("·", "yellow")
KIND_STYLE = {"bad": "red", "slow": "yellow", "done": "green", "rest": "dim"}
GAP = 2
MIN_LAST_LINE = 16
BAR_CELLS = 20
MIN_ROWS = 3
"""Nodes that are many share rows before the checks share a line, as long as there are so many."""


class Column(Struct, frozen=True):
    """A column of the table: `field` of a row; the lower `priority`, the longer it stays."""

    field: str
    header: str
    priority: int
    min_width: int
    is_number: bool = False


COLUMNS = (
    Column("node", "node", 0, 4),
    Column("rank", "rank", 4, 4),
    Column("state", "state", 3, 8),
    Column("phase", "phase", 1, 11),
    Column("step", "step", 2, 5, is_number=True),
    Column("loss", "loss", 2, 6, is_number=True),
    Column("tokens", "tok/s", 7, 6, is_number=True),
    Column("time", "step time", 5, 9, is_number=True),
    Column("spark", "", 6, 8),
    Column("cpu", "cpus", 8, 4, is_number=True),
    Column("memory", "mem", 9, 4, is_number=True),
)


class Frame(Struct, frozen=True):
    """The room that there is, and the moment; `is_last`: it stays, with what ended as it ended."""

    width: int
    height: int
    now_s: float
    is_last: bool = False


def render(board: Board, frame: Frame) -> Group:
    """The board in no more lines than leave room for what is printed above it."""
    tasks = [] if frame.is_last else [_task(task, frame) for task in board.tasks]
    checks = () if frame.is_last else board.checks
    room = max(frame.height * 2 // 3, 3) - len(tasks) - 2
    is_brief = len(board.nodes) + len(checks) > room and not (
        len(board.nodes) > room - 1 and len(checks) <= room - MIN_ROWS
    )
    told = [_brief_checks(checks, frame)] if is_brief and checks else _checks(checks, frame)
    rows = _table(board, max(room - len(told), 1), frame) if board.nodes else []
    lines = [_title(board, frame), *rows, *tasks, *told][: max(frame.height - 2, 1)]
    # The cursor rests below the board, where the `^C` of a terminal hurts nothing.
    return Group(*lines) if frame.is_last or frame.height < 3 else Group(*lines, Text())


def _title(board: Board, frame: Frame) -> Text:
    """A rule that parts the board from the lines above it: what runs, and for how long."""
    name = _fit(_shown(board.title), frame.width - 16)
    run = f" · run {_shown(board.run_id)}" if board.run_id else ""
    if cell_len(name) + len(run) > frame.width - 20:
        run = ""
    took = "" if frame.is_last else f" {_duration(frame.now_s - board.began_at_s)} ─"
    rule = "─" * (frame.width - 4 - cell_len(name) - len(run) - len(took))
    return Text.assemble(
        ("── ", "dim"), (name, "bold"), (run, "dim"), (f" {rule}{took}", "dim"), no_wrap=True
    )


def _table(board: Board, max_rows: int, frame: Frame) -> list[Text]:
    """The header, and a row for each node or for all that are alike."""
    rows = rows_of(board.nodes, max_rows)
    widths = _widths(rows, frame.width)
    left = frame.width - sum(widths.values()) - GAP * len(widths) - 1
    has_lines = left >= MIN_LAST_LINE and any(row.last_line for row in rows)
    # Of nodes of one rank each the one number is both, and lines are prefixed with it.
    first = "rank" if all(row.node == row.rank for row in rows if row.rank) else "node"
    header = _header(widths, {"node": first}, "last line" if has_lines else "")
    return [header, *(_row(row, widths, left if has_lines else 0) for row in rows)]


def _header(widths: dict[str, int], names: dict[str, str], last: str) -> Text:
    text = Text(" ", style="dim", no_wrap=True)
    for column in COLUMNS:
        if column.field in widths:
            name = names.get(column.field, column.header)
            text.append(_cell(name, widths[column.field], column) + " " * GAP)
    text.append(last)
    return text


def _widths(rows: Sequence[Row], width: int) -> dict[str, int]:
    """The columns that fit, and how wide each one is; those that matter least go first."""
    wanted = {
        column.field: max(column.min_width, *(cell_len(getattr(row, column.field)) for row in rows))
        for column in COLUMNS
        if column.priority <= 1 or any(_tells(row, column.field) for row in rows)
    }
    for name in wanted.keys() & {"node", "rank"}:
        wanted[name] = min(wanted[name], max(width // 5, 4))
    kept: dict[str, int] = {}
    for column in sorted(COLUMNS, key=lambda each: each.priority):
        if column.field not in wanted:
            continue
        if sum(kept.values()) + GAP * len(kept) + 1 + wanted[column.field] > width:
            break
        kept[column.field] = wanted[column.field]
    return kept


def _tells(row: Row, field: str) -> bool:
    """True when a cell has something in it that the row does not say already."""
    return bool(getattr(row, field)) and not (field == "rank" and row.rank == row.node)


def _row(row: Row, widths: dict[str, int], last_line_width: int) -> Text:
    text = Text(" ", no_wrap=True)
    for column in COLUMNS:
        if column.field in widths:
            cell = _cell(getattr(row, column.field), widths[column.field], column)
            text.append(cell + " " * GAP, style=_style(row, column.field))
    if last_line_width:
        text.append(_fit(row.last_line, last_line_width), style="dim")
    text.rstrip()
    return text


def _style(row: Row, field: str) -> str:
    match field:
        case "node" if row.node_rank >= 0:
            return RANK_COLOUR_NAMES[row.node_rank % len(RANK_COLOUR_NAMES)]
        case "node" | "state" | "phase" | "step":
            return KIND_STYLE.get(row.kind, "")
        case "spark":
            return "cyan"
        case "rank" | "time" | "cpu" | "memory":
            return "dim"
        case _:
            return ""


def _cell(value: str, width: int, column: Column) -> str:
    fitted = _fit(value, width)
    pad = " " * (width - cell_len(fitted))
    return pad + fitted if column.is_number else fitted + pad


def _checks(checks: Sequence[CheckView], frame: Frame) -> list[Text]:
    width = max((len(check.result.name) for check in checks), default=0)
    return [_check(check, width, frame) for check in checks]


def _check(check: CheckView, name_width: int, frame: Frame) -> Text:
    result = check.result
    sign, colour = SIGNS.get(result.status.value, OPEN)
    left = _left(check, frame.now_s)
    room = frame.width - name_width - len(left) - 7
    why = _fit(_shown(result.why), room)
    text = Text(" ", no_wrap=True)
    text.append(f"{sign} ", style=colour)
    text.append(f"{result.name:{name_width}}  ")
    text.append(why, style="red" if result.status.value == "failed" else "dim")
    if left:
        text.append(" " * (room - cell_len(why) + 2) + left, style="yellow")
    return text


def _left(check: CheckView, now_s: float) -> str:
    """How long a check that is open may still take."""
    if check.deadline_s is None or check.result.status.value != "pending":
        return ""
    return f"{_duration(max(check.deadline_s - now_s, 0))} left"


def _brief_checks(checks: Sequence[CheckView], frame: Frame) -> Text:
    """All checks in one line: how many hold, and what is waited for first."""
    statuses = [check.result.status.value for check in checks]
    open_ones = [check for check in checks if check.result.status.value == "pending"]
    text = Text(" ", no_wrap=True)
    text.append(f"{statuses.count('ok')} of {len(checks)} checks ok", style="dim")
    if num_failed := statuses.count("failed"):
        text.append(f"  {num_failed} failed", style="red")
    for check in open_ones:
        left = _left(check, frame.now_s)
        text.append(f"  {check.result.name}" + (f" {left}" if left else ""), style="yellow")
    text.truncate(frame.width, overflow="ellipsis")
    return text


def _task(task: TaskView, frame: Frame) -> Text:
    """What is under way: a bar where its end is known, what it says, and for how long."""
    took_s, progress = frame.now_s - task.began_at_s, task.progress
    took = _duration(took_s)
    text = Text(" ", no_wrap=True)
    text.append(f"{FRAMES[int(took_s * 8) % len(FRAMES)]} ", style="cyan")
    text.append(_shown(task.text) + "  ")
    if progress.total:
        done = BAR_CELLS * progress.done // progress.total
        text.append("━" * done, style="cyan")
        text.append("━" * (BAR_CELLS - done) + " ", style="dim")
        text.append(f" {progress.unit} {progress.done}/{progress.total}  ")
    room = frame.width - cell_len(text.plain) - len(took) - 2
    said = _fit(_shown(progress.said), room)
    text.append(said, style="dim")
    text.append(" " * (room - cell_len(said) + 1) + took, style="dim")
    text.truncate(frame.width)
    return text


def _shown(text: str) -> str:
    """Text from elsewhere, fit for a terminal."""
    return redacted(printable(text))


def _fit(text: str, width: int) -> str:
    """The text in no more than so many cells, with an ellipsis where it is cut."""
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - 1) + "…" if width > 0 else ""


def _duration(took_s: float) -> str:
    """Seconds as a clock has them: `42 s`, `4:05`, `1:02:03`."""
    whole = int(took_s)
    if whole < 60:
        return f"{whole} s"
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
