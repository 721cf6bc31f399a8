"""Calls a hook right after a module was imported, without a trace in the module.

A finder in front of the others lets them find the module as always, and has its loader, an
object made for this one import, tell when the module has been executed.
"""

from __future__ import annotations

import sys

from .guarding import guarded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any, Callable

    Hook = Callable[[ModuleType], object]


def watch(hooks: dict[str, Hook]) -> None:
    """Call `hooks[name]` with each module as it is imported, or now if it has been."""
    finder = _Finder(dict(hooks))
    sys.meta_path.insert(0, finder)
    for name in hooks:
        if name in sys.modules:
            finder.loaded(name, sys.modules[name])


class _Finder:
    def __init__(self, hooks: dict[str, Hook]) -> None:
        self._hooks = hooks

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Find the module as Python would without us."""
        if name not in self._hooks:
            return None
        spec = self._ask_others(name, path, target)
        if spec is not None:
            self._tap(name, spec.loader)
        return spec

    def _ask_others(self, name: str, path: Any, target: Any) -> Any:
        for finder in list(sys.meta_path):
            find_spec = getattr(finder, "find_spec", None)
            if finder is not self and find_spec is not None:
                spec = find_spec(name, path, target)
                if spec is not None:
                    return spec
        return None

    @guarded("import")
    def _tap(self, name: str, loader: Any) -> None:
        """Put a function before the loader's own method, for one call."""

        def exec_module(module: ModuleType) -> None:
            loader.__dict__.pop("exec_module", None)
            loader.exec_module(module)
            self.loaded(name, module)

        # Python takes the frames of its import machinery out of a traceback. This is one: a
        # torch that cannot be imported must say so as it does without us.
        exec_module.__code__ = exec_module.__code__.replace(
            co_filename="<frozen importlib._bootstrap>", co_name="_call_with_frames_removed"
        )
        loader.exec_module = exec_module

    def loaded(self, name: str, module: ModuleType) -> None:
        """Call the hook of a module, once; leave when there is none left."""
        hook = self._hooks.pop(name, None)
        if hook is not None:
            hook(module)
        if not self._hooks and self in sys.meta_path:
            sys.meta_path.remove(self)
