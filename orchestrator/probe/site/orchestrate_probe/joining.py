"""What happens around init_process_group: its view of the group, and the proof afterwards."""

from __future__ import annotations

import functools
import time

from . import environment, proof, rendezvous
from .guarding import guarded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any, Callable, Iterator

    from .reporting import Reporter


def hook(c10d: ModuleType, reporter: Reporter) -> None:
    """Wrap init_process_group before `torch.distributed` takes the name from its module."""
    joining = _Joining(c10d, reporter)
    c10d.init_process_group = joining.wrap_init(c10d.init_process_group)  # type: ignore[attr-defined]
    c10d.rendezvous = joining.wrap_rendezvous(c10d.rendezvous)  # type: ignore[attr-defined]


class _Joining:
    def __init__(self, c10d: Any, reporter: Reporter) -> None:
        self._c10d = c10d
        self._reporter = reporter
        self._view = rendezvous.View()
        self._approach = rendezvous.Approach(reporter, self._view)
        self._has_joined = False

    def wrap_init(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Make an init_process_group that reports, and else is the original."""

        @functools.wraps(original)
        def init_process_group(*args: Any, **kwargs: Any) -> Any:
            self._begin(original, args, kwargs)
            try:
                result = original(*args, **kwargs)
            finally:
                self._approach.end()
            self._prove()
            return result

        return init_process_group

    def wrap_rendezvous(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Make a rendezvous that says when it has a store."""

        def tell(answers: Iterator[Any]) -> Iterator[Any]:
            for answer in answers:
                self._store_joined()
                yield answer

        @functools.wraps(original)
        def rendezvous(*args: Any, **kwargs: Any) -> Any:
            return tell(original(*args, **kwargs))

        return rendezvous

    @guarded("rendezvous")
    def _begin(self, original: Any, args: Any, kwargs: Any) -> None:
        self._view = rendezvous.view(original, args, kwargs)
        reporter = self._reporter
        if self._view.rank is not None:
            reporter.rank = self._view.rank
        reporter.speak_up()
        reporter.send("rendezvous_started", **self._view.fields())
        environment.report(reporter)
        self._approach = rendezvous.Approach(reporter, self._view)
        self._approach.begin()
        if self._view.has_store:
            self._store_joined()

    @guarded("store")
    def _store_joined(self) -> None:
        self._approach.look()
        self._reporter.send("store_joined")

    @guarded("proof")
    def _prove(self) -> None:
        self._reporter.joined_s = time.perf_counter()
        result = proof.prove(self._c10d)
        self._reporter.rank = result["rank"]
        self._reporter.gpu = result["gpu"]
        if not self._has_joined:
            self._has_joined = True
            self._reporter.send(
                "process_group_joined",
                backend=self._view.backend or str(self._c10d.get_backend()),
                master_addr=self._view.master_addr,
                **result,
            )
