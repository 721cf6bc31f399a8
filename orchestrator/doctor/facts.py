"""What was found out about a machine, as plain values. Pure; `Unknown` is an answer as well."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct

from orchestrator.errors import ExitCode

if TYPE_CHECKING:
    from orchestrator.gpus.inventory import Gpu


class Unknown(Struct, frozen=True):
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


class System(Struct, frozen=True):
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


class Folder(Struct, frozen=True):
    """A folder that this program keeps things in.

    `closed` is the folder that cannot be written, it or the nearest above it that is there;
    empty where all is well.
    """

    use: str
    path: str
    closed: str
    free_bytes: int


class Command(Struct, frozen=True):
    """The `docker` command. `version` is empty where it does not say; podman's is not docker's."""

    path: str
    version: str
    has_buildx: bool


class Place(Struct, frozen=True):
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


class Limiting(Struct, frozen=True):
    """Which limits the engine can set."""

    memory: bool = True
    cpus: bool = True
    pids: bool = True


class Engine(Struct, frozen=True):
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


class Networks(Struct, frozen=True):
    """How many networks the engine has that each take a range of addresses, and ours of them."""

    names: tuple[str, ...]
    stale: tuple[str, ...] = ()  # projects of ours that have a network and no node


class Room(Struct, frozen=True):
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


class Toolkit(Struct, frozen=True):
    """NVIDIA's container toolkit: the versions of its parts, empty where one is not there."""

    ctk: str
    hook: str


class Mps(Struct, frozen=True):
    """NVIDIA's MPS on this machine: its program, and whether a daemon of its own runs."""

    program: str
    pipe_folder: str
    is_running: bool


class Gpus(Struct, frozen=True):
    """What there is for using GPUs. `driver` is empty where the kernel has none loaded."""

    inventory: tuple[Gpu, ...] | Unknown
    driver: str
    toolkit: Toolkit
    mps: Mps


class Docker(Struct, frozen=True):
    """All that has to do with Docker."""

    command: Command | Unknown
    place: Place
    engine: Engine | Unknown
    networks: Networks | Unknown
    room: Room | Unknown
    image_bytes: int | Unknown | None  # None: the engine has no such image


class Facts(Struct, frozen=True):
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
