"""Where each thread is, in few words: what a `stacks` record says."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any, Iterator

MAX_BYTES = 3400  # of what a record may have in all
MAX_THREADS = 32
MAIN_FRAMES = 24
OTHER_FRAMES = 6
MAX_CHARS = 120
_HIDDEN = (os.path.dirname(os.path.abspath(__file__)) + os.sep, "<frozen importlib")
_DISTRIBUTED = f"torch{os.sep}distributed{os.sep}"
_AGENT = f"{_DISTRIBUTED}elastic{os.sep}agent{os.sep}"
_PACKAGES = (f"site-packages{os.sep}", f"dist-packages{os.sep}")


def of_threads(main: int, skip: int) -> tuple[str, dict[str, list[str]]]:
    """Return the collective that the main thread is in, and the innermost frames of all threads.

    Args:
        main: identifier of the main thread, which comes first.
        skip: identifier of the thread that looks.
    """
    frames = sys._current_frames()
    threads: dict[str, list[str]] = {}
    room = MAX_BYTES
    for ident in sorted(frames, key=lambda each: (each != main, each)):
        if ident == skip or len(threads) == MAX_THREADS:
            continue
        limit = MAIN_FRAMES if ident == main else OTHER_FRAMES
        lines = [_line(frame) for frame in _outwards(frames[ident])][:limit]
        room -= sum(len(line) + 3 for line in lines)
        if room < 0 and threads:
            break
        threads[_name(ident, main, threads)] = lines
    return _call(frames.get(main)), threads


def is_launcher(main: int) -> bool:
    """True for torchrun, whose main thread waits for the ranks it has started."""
    return any(
        _AGENT in each.f_code.co_filename for each in _outwards(sys._current_frames().get(main))
    )


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    """From the innermost frame to the outermost, without the probe's and the import machinery's."""
    while frame is not None:
        if not frame.f_code.co_filename.startswith(_HIDDEN):
            yield frame
        frame = frame.f_back


def _line(frame: FrameType) -> str:
    code = frame.f_code
    return f"{_short(code.co_filename)}:{frame.f_lineno} {code.co_name}"[-MAX_CHARS:]


def _short(path: str) -> str:
    for packages in _PACKAGES:
        _, found, rest = path.rpartition(packages)
        if found:
            return rest
    return path


def _call(frame: FrameType | None) -> str:
    """The innermost function of torch.distributed; decorators all call theirs `wrapper`."""
    for each in _outwards(frame):
        name = each.f_code.co_name
        if _DISTRIBUTED in each.f_code.co_filename and name not in ("wrapper", "_wrapper"):
            return name
    return ""


def _name(ident: int, main: int, taken: dict[str, Any]) -> str:
    threading = sys.modules.get("threading")
    # Not threading.enumerate(): it waits for a lock that may be why nothing moves.
    thread = getattr(threading, "_active", {}).get(ident)
    name = "MainThread" if ident == main else str(getattr(thread, "name", ident))[:60]
    return name if name not in taken else f"{name} {ident}"
