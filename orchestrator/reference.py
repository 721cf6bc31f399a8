"""The same command once in a single process: the playbook of the run that losses are held against.

It is a playbook like any other, so that all that is said of runs holds for it: it is planned,
replaced when its spec or image changes, left alone when it has converged, owned, locked and
destroyed. Pure.
"""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from orchestrator.playbook.health import Completed, Loss
from orchestrator.playbook.loaded import LoadedPlaybook
from orchestrator.playbook.models import Gpu, Network, Playbook, Restarts
from orchestrator.state.reference import MARK, reference_name

MAX_PORT = 65535


def reference_of(loaded: LoadedPlaybook) -> LoadedPlaybook | None:
    """The playbook's command in one node and one process; None where no check asks for it.

    What `per_node` says is left out, as it is about nodes of the gang.
    """
    loss = next((each for each in loaded.playbook.health_checks if isinstance(each, Loss)), None)
    if loss is None or loss.matches == "nothing":
        return None
    path = Path(f"{loaded.path}{MARK}")
    return replace(loaded, playbook=_alone(loaded.playbook, loss), path=path)


def _alone(playbook: Playbook, loss: Loss) -> Playbook:
    single = {"nodes": 1, "nproc_per_node": 1, "per_node": {}}
    port = playbook.rendezvous.port
    # The gang may still run, and on the local engine all share one loopback.
    free = port + 1 if port < MAX_PORT else port - 1
    return playbook.model_copy(
        update={
            "name": reference_name(playbook.name),
            "ranks": playbook.ranks.model_copy(update=single),
            "network": playbook.network if playbook.network.external else _own(playbook.network),
            "rendezvous": playbook.rendezvous.model_copy(update={"port": free}),
            "gpu": _alone_on_a_gpu(playbook.gpu),
            "health_checks": (Completed(within_s=loss.within_s),),
            "restarts": Restarts(),
            "on_failure": "stop",
        }
    )


def _alone_on_a_gpu(gpu: Gpu) -> Gpu:
    """A single process shares its GPU with nobody: it needs no daemon that would let it."""
    if gpu.mode != "mps":
        return gpu.model_copy(update={"per_node": None})
    kept = {"mode": "shared", "devices": gpu.devices, "memlock_bytes": gpu.memlock_bytes}
    return Gpu.model_construct(**{**Gpu().model_dump(), **kept})


def _own(network: Network) -> Network:
    return network.model_copy(update={"name": None})
