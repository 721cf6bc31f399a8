"""What goes wrong in the probe stays in the probe: one record instead of an exception."""

from __future__ import annotations

from . import reporting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, TypeVar

    T = TypeVar("T")


def guarded(where: str) -> Callable[[Callable[..., T]], Callable[..., T | None]]:
    """Let a function return None where it would raise, and report what it was.

    KeyboardInterrupt and SystemExit go on: they are the script's own, wherever they hit.
    """

    def decorate(function: Callable[..., T]) -> Callable[..., T | None]:
        def call(*args: Any, **kwargs: Any) -> T | None:
            try:
                return function(*args, **kwargs)
            except Exception as error:  # noqa: BLE001  (the script must not learn of any)
                reporting.report_fault(where, error)
                return None

        return call

    return decorate
