"""What was found out about a machine, as plain values. Pure; `Unknown` is an answer as well."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from orchestrator.errors import ExitCode

if TYPE_CHECKING:
    from orchestrator.gpus.inventory import Gpu


@dataclass(frozen=True, slots=True)
class Unknown:
    """A question that got no answer, and why; `fix` and `code` as the error that came has them."""

    why: str
    fix: str = ""
    code: ExitCode | None = None


class Family(StrEnum):
    """Which commands mend a machine."""

    DEBIAN = "debian"
    FEDORA = "fedora"
    ARCH = "arch"
    SUSE = "suse"
    MACOS = "macos"
    OTHER = "other"


NEWEST = 9999


@dataclass(frozen=True, slots=True)
class System:
    """The operating system that the commands for mending are for.

    `version` is the first number of its own, NEWEST where it has none. `is_enterprise` tells RHEL
    and its rebuilds from Fedora.
    """

    family: Family
    name: str
    version: int = NEWEST
    is_ubuntu: bool = False
    is_enterprise: bool = False
    is_wsl: bool = False
    is_root: bool = False
    has_systemd: bool = False
    has_init_script: bool = False  # for Docker's service


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that this program keeps things in.

    `closed` is the folder that cannot be written, it or the nearest above it that is there;
    empty where all is well.
    """

    use: str
    path: str
    closed: str
    free_bytes: int


@dataclass(frozen=True, slots=True)
class Command:
    """The `docker` command. `version` is empty where it does not say; podman's is not docker's."""

    path: str
    version: str
    has_buildx: bool


@dataclass(frozen=True, slots=True)
class Place:
    """Where the engine is.

    Attributes:
        endpoint: its address, as the `docker` command has it.
        is_local: it is reached by a socket of this machine.
        is_usual: nobody chose another one than the default.
        is_denied: the socket is there, and this user may not use it.
    """

    endpoint: str
    is_local: bool = True
    is_usual: bool = True
    is_denied: bool = False


@dataclass(frozen=True, slots=True)
class Limiting:
    """Which limits the engine can set."""

    memory: bool = True
    cpus: bool = True
    pids: bool = True


@dataclass(frozen=True, slots=True)
class Engine:
    """What a Docker engine says of itself and of its machine."""

    version: str
    name: str
    kernel: str
    cpus: int
    memory_bytes: int
    data_root: str
    cgroup_version: str
    cgroup_driver: str
    limiting: Limiting
    is_rootless: bool
    runtimes: tuple[str, ...]
    cdi_folders: tuple[str, ...]
    cdi_devices: tuple[str, ...]
    pool_sizes: tuple[int, ...]
    ahead_s: float  # its clock, ahead of this machine's

    @property
    def is_desktop(self) -> bool:
        """True where the engine is in a virtual machine that shares this machine's folders."""
        return "Docker Desktop" in self.name

    def is_in(self, place: Place, release: str) -> bool:
        """True where the engine runs on this very kernel, and sees what this machine has."""
        return place.is_local and self.kernel == release and not self.is_desktop


@dataclass(frozen=True, slots=True)
class Networks:
    """How many networks the engine has that each take a range of addresses, and ours of them."""

    names: tuple[str, ...]
    stale: tuple[str, ...] = ()  # projects of ours that have a network and no node


@dataclass(frozen=True, slots=True)
class Room:
    """What a disk has left for the engine."""

    path: str
    free_bytes: int
    free_files: int | None = None  # None: as many as there is room for


class Feature(StrEnum):
    """Whether a kernel has something."""

    LOADED = "loaded"
    BUILT_IN = "built in"
    LOADABLE = "loadable"
    MISSING = "missing"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Toolkit:
    """NVIDIA's container toolkit: the versions of its parts, empty where one is not there."""

    ctk: str
    hook: str


@dataclass(frozen=True, slots=True)
class Mps:
    """NVIDIA's MPS on this machine: its program, and whether a daemon of its own runs."""

    program: str
    pipe_folder: str
    is_running: bool


@dataclass(frozen=True, slots=True)
class Gpus:
    """What there is for using GPUs. `driver` is empty where the kernel has none loaded."""

    inventory: tuple[Gpu, ...] | Unknown
    driver: str
    toolkit: Toolkit
    mps: Mps


@dataclass(frozen=True, slots=True)
class Docker:
    """All that has to do with Docker."""

    command: Command | Unknown
    place: Place
    engine: Engine | Unknown
    networks: Networks | Unknown
    room: Room | Unknown
    image_bytes: int | Unknown | None  # None: the engine has no such image


@dataclass(frozen=True, slots=True)
class Facts:
    """All that was asked.

    Attributes:
        docker: None: it was not asked, as the embedded engine was named.
        kernel: `{module: whether it is there}`, of the machine that this runs on.
        port: why rank 0 cannot listen on this machine; None where it can, or does in a node.
        plan: what apply would do, in a line; None where there is no playbook to plan.
    """

    system: System
    release: str  # of the kernel
    python: str
    cpus: int
    memory_bytes: int
    memory_free_bytes: int | Unknown
    folders: tuple[Folder, ...]
    docker: Docker | None
    kernel: Mapping[str, Feature]
    gpus: Gpus
    port: Unknown | None = None
    plan: str | Unknown | None = None
