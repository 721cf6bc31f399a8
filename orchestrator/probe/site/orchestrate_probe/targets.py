"""Which modules are hooked as they are imported, and what is done then."""

from __future__ import annotations

import os
import sys

from .guarding import guarded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Callable

    from .native import Timer
    from .reporting import Reporter


def hooks(reporter: Reporter, timer: Timer) -> dict[str, Callable[[ModuleType], object]]:
    """Map each module's name to what is to be done once it is there."""

    @guarded("torch")
    def torch_imported(torch: ModuleType) -> None:
        from . import stalls, versions

        reporter.torch = versions.of(torch)
        reporter.send("torch_imported", **reporter.torch)
        if "threading" in sys.modules and reporter.on_threading is not None:
            reporter.on_threading(sys.modules["threading"])
        reporter.watch = stalls.Watch(reporter, timer, os.environ).begin
        reporter.watch()

    @guarded("distributed")
    def distributed_imported(distributed_c10d: ModuleType) -> None:
        from . import joining

        joining.hook(distributed_c10d, reporter)

    @guarded("optimizer")
    def optimizer_imported(optimizer: ModuleType) -> None:
        from . import steps

        steps.hook(optimizer, reporter)

    def saves_with(name: str) -> Callable[[ModuleType], object]:
        @guarded(f"saving by {name}")
        def imported(module: ModuleType) -> None:
            from . import saving

            saving.hook(module, name, reporter)

        return imported

    return {
        "torch": torch_imported,
        "torch.distributed.distributed_c10d": distributed_imported,
        "torch.optim.optimizer": optimizer_imported,
        "torch.serialization": saves_with("save"),
        "torch.distributed.checkpoint.state_dict_saver": saves_with("save"),
        "safetensors.torch": saves_with("save_file"),
    }
