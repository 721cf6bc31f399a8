"""The corpus: every way that we know of to print what must not be believed. Generated, no files.

Each attack is what node 1 of a gang of two prints instead of its own honest record, piece by
piece as an engine's reader hands a log over. An honest record of rank 1 is none of them: that
a script which forges its own rank's record in its own node is not caught is said in
docs/records.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from orchestrator.loglines import LINE_BYTES

RUN_ID = "20261125T120000-0badcafe"
OLDER_RUN_ID = "20261125T115900-0badcafe"
RS = b"\x1e"

Fields = dict[str, Any]
Piece = tuple[bytes, bool]
"""Bytes, and whether they go on with the line of the piece before."""

JOIN: Fields = {
    "event": "process_group_joined",
    "rank": 1,
    "run_id": RUN_ID,
    "world_size": 2,
    "backend": "gloo",
    "master_addr": "pair-node-0",
    "rank_sum": 1,
    "hostname": "pair-node-1",
    "at_s": 1000.5,
    "pid": 7,
    "source": "probe",
    "peers": "0123456789abcdef",
}
STEP: Fields = {
    "event": "step",
    "rank": 1,
    "run_id": RUN_ID,
    "step": 1,
    "loss": 2.5,
    "at_s": 1001.5,
    "pid": 7,
    "source": "probe",
    "times_us": [250000],
    "busy_share": 0.5,
}
NEEDED = {
    "process_group_joined": (
        *("event", "rank", "run_id", "world_size", "backend", "master_addr", "rank_sum"),
    ),
    "step": ("event", "rank", "run_id", "step"),
}
"""Fields without which there is no such record, or not one of this run."""


@dataclass(frozen=True, slots=True)
class Attack:
    """One attack: what it tries, and what is printed."""

    name: str
    pieces: tuple[Piece, ...]

    @property
    def num_bytes(self) -> int:
        """How much is printed."""
        return sum(len(text) for text, _ in self.pieces)


def attacks(honest: Fields) -> Iterator[Attack]:
    """Every attack on what this record proves, each line in each way that a line may come."""
    for name, line in _lines(honest):
        for way, dressed in _DRESSES.items():
            yield Attack(f"{name}, {way}", dressed(line))
    text = json.dumps(honest).encode()
    yield from _torn(text)
    yield from _cut_short(text)
    yield from _huge(text)


def _bare(line: bytes) -> tuple[Piece, ...]:
    return ((line, False),)


_DRESSES: dict[str, Callable[[bytes], tuple[Piece, ...]]] = {
    "alone": _bare,
    "framed": lambda line: _bare(RS + line),
    "framed twice": lambda line: _bare(RS + RS + line),
    "after a partial line": lambda line: _bare(b"50%|###  " + RS + line),
    "after an escape": lambda line: _bare(b"\x1b[2K\x1b]0;pwned\x07\r" + RS + line),
    "after a record of nobody": lambda line: _bare(RS + b'{"event": "step"}' + RS + line),
    "behind a line too long": lambda line: (
        (b"x" * LINE_BYTES, False),
        (b"x" + RS + line, True),
    ),
    "across a cut": lambda line: _pieces(_up_to_the_cut(line, len(line) // 2)),
    "up to a cut": lambda line: _pieces(
        _up_to_the_cut(line, min(len(line), LINE_BYTES - 1)) + b" "
    ),
}


def _up_to_the_cut(line: bytes, num_bytes: int) -> bytes:
    """The line behind so much text that its first piece ends after `num_bytes` of it."""
    num_bytes = min(num_bytes, LINE_BYTES - 1)
    return b"x" * (LINE_BYTES - 1 - num_bytes) + RS + line


def _lines(honest: Fields) -> Iterator[tuple[str, bytes]]:
    """Whole lines that are no honest record, each of which may be dressed in any way."""
    for name, fields in _claims(honest):
        yield name, json.dumps(fields).encode()
    for name, fields in _wrong_types(honest):
        yield name, json.dumps(fields).encode()
    yield from _bad_json(honest)
    yield from _bad_bytes(json.dumps(honest))


def _claims(honest: Fields) -> Iterator[tuple[str, Fields]]:
    """Right in form: of another rank, another run, another world."""
    for rank in (0, 2, 3, 9_999_999):
        yield f"rank {rank}", honest | {"rank": rank}
        yield f"rank {rank}, replayed", honest | {"rank": rank, "run_id": OLDER_RUN_ID}
    runs = (None, "", OLDER_RUN_ID, RUN_ID[:-1], RUN_ID + "0", RUN_ID + " ", " " + RUN_ID)
    odd = (RUN_ID.upper(), RUN_ID + "\0", RUN_ID + "\n", "*", "%", RUN_ID.replace("0", "\u0660"))
    for run_id in (*runs, *odd):
        yield f"run {run_id!r}", honest | {"run_id": run_id}
    for key in NEEDED[honest["event"]]:
        yield f"without {key}", {name: value for name, value in honest.items() if name != key}
    for event in ("joined", "PROCESS_GROUP_JOINED", "process_group_joined ", "", "training"):
        yield f"event {event!r}", honest | {"event": event}
    if "world_size" in honest:
        yield from _other_groups(honest)


def _other_groups(honest: Fields) -> Iterator[tuple[str, Fields]]:
    for size in (0, 1, 3, 4, 9_999_999):
        yield f"world of {size}", honest | {"world_size": size, "rank_sum": size * (size - 1) // 2}
        yield f"world size {size}", honest | {"world_size": size}
    for total in (0, 2, -1, 3, 2**62):
        yield f"sum {total}", honest | {"rank_sum": total}
    for address in ("", "localhost", "127.0.0.1", "pair-node-1", "pair-node-0 ", "PAIR-NODE-0"):
        yield f"master {address!r}", honest | {"master_addr": address}
    yield "backend", honest | {"backend": "nccl"}
    yield "host of node 0", honest | {"hostname": "pair-node-0"}
    yield "peers", honest | {"peers": "fedcba9876543210"}


_WRONG: tuple[Any, ...] = (
    *(None, True, False, "", "1", "0", "one", 1.0, 1.5, -1, 2**63, 2**64, 10**40, 1e300),
    *([], [1], [[]], {}, {"rank": 1}, [None], ["process_group_joined"]),
)


def _wrong_types(honest: Fields) -> Iterator[tuple[str, Fields]]:
    """A field of another type, or out of all bounds."""
    for key in NEEDED[honest["event"]]:
        for wrong in _WRONG:
            if wrong != honest[key] or type(wrong) is not type(honest[key]):
                yield f"{key} is {wrong!r}"[:80], honest | {key: wrong}
    for key in ("backend", "master_addr", "run_id", "peers", "hostname"):
        if key in honest:
            yield f"{key} is long", honest | {key: "x" * 5000}


def _bad_json(honest: Fields) -> Iterator[tuple[str, bytes]]:
    """No JSON that an honest writer produces."""
    text = json.dumps(honest)
    for key, value in honest.items():
        for other in (value, 0, None, honest["rank"]):
            yield f"{key} twice", f'{text[:-1]}, "{key}": {json.dumps(other)}}}'.encode()
            yield f"{key} twice, first", f'{{"{key}": {json.dumps(other)}, {text[1:]}'.encode()
        yield f"{key} unquoted", text.replace(f'"{key}"', key).encode()
        yield f"{key} in single quotes", text.replace(f'"{key}"', f"'{key}'").encode()
        for number in ("NaN", "Infinity", "-Infinity", "9" * 5000, "-" + "9" * 5000, "0x1", "01"):
            changed = json.dumps(honest | {key: "?"}).replace('"?"', number)
            yield f"{key} is {number[:12]}", changed.encode()
    for name, extra in _BAD_EXTRAS.items():
        yield name, f'{text[:-1]}, "extra": {extra}}}'.encode()
        yield f"{name}, first", f'{{"extra": {extra}, {text[1:]}'.encode()
    for name, around in _AROUND.items():
        yield name, around(text).encode()


_BAD_EXTRAS = {
    "NaN beside": "NaN",
    "Infinity beside": "[-Infinity]",
    "5,000 digits beside": "9" * 5000,
    "deep lists": "[" * 6000 + "]" * 6000,
    "deep objects": '{"a":' * 2500 + "1" + "}" * 2500,
    "deep and open": "[" * 12_000,
    "key twice below": '{"a": 1, "a": 1}',
    "key twice far below": '[[[{"b": {"a": 1, "a": 2}}]]]',
    "raw control character": '"a\x1bb"',
    "raw line separator in a key": '{"\x00": 1}',
    "a trailing comma": "[1,]",
    "a comment": "1 /* x */",
    "a lone escape": '"\\ud800\\x"',
    "nothing": "",
}
_AROUND: dict[str, Callable[[str], str]] = {
    "in a list": lambda text: f"[{text}]",
    "in an object": lambda text: f'{{"record": {text}}}',
    "in text": json.dumps,
    "twice in a line": lambda text: text + text,
    "text before": lambda text: f"INFO {text}",
    "text behind": lambda text: f"{text} done",
    "an escape before": lambda text: f"\x1b[0m{text}",
    "an escape behind": lambda text: f"{text}\x1b[0m",
    "a return before": lambda text: f"x\r{text}",
    "a bidi mark before": lambda text: f"\u202e{text}",
    "a NUL behind": lambda text: f"{text}\0",
    "a form feed before": lambda text: f"\f{text}",
    "a no-break space before": lambda text: f"\u00a0{text}",
    "a comment behind": lambda text: f"{text} // joined",
    "a byte order mark": lambda text: f"\ufeff{text}",
    "single quotes": lambda text: text.replace('"', "'"),
    "curly quotes": lambda text: text.replace('"', "\u201c"),
    "a C1 control": lambda text: text.replace("gloo", "gl\x9bo").replace('"step"', '"st\x9bep"'),
    "full-width braces": lambda text: text.replace("{", "\uff5b").replace("}", "\uff5d"),
}


def _bad_bytes(text: str) -> Iterator[tuple[str, bytes]]:
    """No UTF-8, or UTF-8 with what has no place in JSON."""
    for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"):
        yield encoding, text.encode(encoding)
    raw = text.encode()
    for index in range(1, len(raw)):
        yield f"RS at {index}", raw[:index] + RS + raw[index:]
    for bad in (
        b"\xff",
        b"\xc0\xaf",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\x80",
        b"\x00",
        b"\x1b",
    ):
        for index in range(0, len(raw) + 1, 7):
            yield f"{bad!r} at {index}", raw[:index] + bad + raw[index:]
    yield "Latin-1", raw[:-1] + b', "caf\xe9": 1}'
    yield "UTF-7", text.encode("utf-7").replace(b'"', b"+ACI-")
    yield "compressed away", b"\x1f\x8b\x08" + raw


def _torn(text: bytes) -> Iterator[Attack]:
    """A record of which only a part is there, or which is there in two lines."""
    for index in range(1, len(text)):
        head, tail = text[:index], text[index:]
        yield Attack(f"torn at {index}", _bare(head))
        yield Attack(f"torn at {index}, framed", _bare(RS + head))
        yield Attack(f"its end from {index}", _bare(tail))
        yield Attack(f"in two lines at {index}", ((head, False), (tail, False)))
        yield Attack(f"in two lines at {index}, framed", ((RS + head, False), (tail, False)))
        yield Attack(
            f"in two lines at {index}, framed twice", ((RS + head, False), (RS + tail, False))
        )
        yield Attack(f"a piece of a line at {index}", ((head, False), (tail, True)))
        yield Attack(
            f"framed in the middle of a cut at {index}", ((RS + head, False), (RS + tail, True))
        )
        line = RS + head + b"\n" + RS + tail
        yield Attack(
            f"a line end inside at {index}", tuple((each, False) for each in line.split(b"\n"))
        )


def _cut_short(text: bytes) -> Iterator[Attack]:
    """A record at the end of what a reader holds, and something else behind it."""
    for behind in (b" }", b"}}", b"{}", b"x", b"\0", RS, RS + b"{}", text, b"," + text):
        line = _up_to_the_cut(text, len(text)) + behind
        yield Attack(f"up to a cut, and {behind[:10]!r}", _pieces(line))
        yield Attack(f"almost up to a cut, and {behind[:10]!r}", _pieces(line[1:]))
    begun, rest = _pieces(_up_to_the_cut(text, len(text) - 9))
    yield Attack("its rest in another line", (begun, (rest[0], False)))
    yield Attack("its rest in the line after", (begun, (b"done", False), rest))
    yield Attack("its rest twice", (begun, (rest[0] + b" " + rest[0], True)))
    yield Attack("a continued piece alone", ((text, True),))
    yield Attack("a continued piece after another", ((b"x" * LINE_BYTES, False), (text, True)))


def _huge(text: bytes) -> Iterator[Attack]:
    """More than any record holds."""
    for kib in (17, 64, 1024, 4096):
        padded = text[:-1] + b', "pad": "' + b"y" * (kib * 1024) + b'"}'
        for name, line in (("bare", padded), ("framed", RS + padded)):
            yield Attack(f"{kib} KiB, {name}", _pieces(line))
    yield Attack("spaces behind", _pieces(text + b" " * (17 * 1024)))
    yield Attack("spaces before", _pieces(b" " * (17 * 1024) + text))
    many = b"".join(b'"k%d": %d, ' % (index, index) for index in range(2000))
    yield Attack("2,000 keys", _pieces(b"{" + many + text[1:]))
    yield Attack("only RS", _pieces(RS * (256 * 1024)))
    yield Attack("RS and braces", _pieces((RS + b"{") * (128 * 1024)))
    yield Attack("a framed record that never ends", _pieces(RS + text[:-1] + b"," * (1024 * 1024)))


def _pieces(line: bytes) -> tuple[Piece, ...]:
    """A line as `LineCutter` hands it over."""
    return tuple(
        (line[begin : begin + LINE_BYTES], begin > 0) for begin in range(0, len(line), LINE_BYTES)
    )
