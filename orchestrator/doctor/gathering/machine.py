"""Facts on this machine: what its files say. Each function reads a few of them and no more.

`root` is where the machine's files begin, `/` but for tests.
"""

from __future__ import annotations

import gzip
import os
import re
import shlex
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from orchestrator.doctor.facts import NEWEST, Family, Feature, Folder, Room, System, Unknown

_MAX_BYTES = 8 * 1024**2
_FAMILIES = (
    (Family.DEBIAN, {"debian", "ubuntu"}),
    (Family.FEDORA, {"fedora", "rhel", "centos"}),
    (Family.ARCH, {"arch"}),
    (Family.SUSE, {"suse", "opensuse"}),
)
_OPTION = {
    "bridge": "CONFIG_BRIDGE",
    "veth": "CONFIG_VETH",
    "sch_netem": "CONFIG_NET_SCH_NETEM",
    "sch_tbf": "CONFIG_NET_SCH_TBF",
    "vxlan": "CONFIG_VXLAN",
}


def _text(path: Path) -> str:
    """A file's text, or nothing where it cannot be had."""
    with suppress(OSError), path.open("rb") as file:
        return file.read(_MAX_BYTES).decode(errors="replace")
    return ""


def read_system(root: Path = Path("/"), platform: str = sys.platform) -> System:
    """Which system this is, from /etc/os-release and the kernel's version."""
    release = _assignments(_text(root / "etc/os-release"))
    names = {release.get("ID", ""), *release.get("ID_LIKE", "").split()}
    family = next((each for each, ids in _FAMILIES if names & ids), Family.OTHER)
    if platform == "darwin":
        family = Family.MACOS
    version = re.match("[0-9]{1,4}", release.get("VERSION_ID", ""))
    return System(
        family,
        release.get("PRETTY_NAME", platform),
        version=int(version[0]) if version else NEWEST,
        is_ubuntu="ubuntu" in names,
        is_enterprise="rhel" in names,
        is_wsl="microsoft" in _text(root / "proc/version").lower(),
        is_root=os.geteuid() == 0,
        has_systemd=(root / "run/systemd/system").is_dir(),
        has_init_script=(root / "etc/init.d/docker").exists(),
    )


def _assignments(text: str) -> dict[str, str]:
    found = {}
    for line in text.splitlines():
        name, _, value = line.partition("=")
        with suppress(ValueError):  # a quote that does not end
            found[name.strip()] = " ".join(shlex.split(value, comments=True))
    return found


def memory_free(root: Path = Path("/")) -> int | Unknown:
    """Memory that processes can have without others being pushed out, in bytes."""
    found = re.search(
        r"^MemAvailable:\s*([0-9]{1,15}) kB", _text(root / "proc/meminfo"), re.MULTILINE
    )
    return int(found[1]) * 1024 if found else Unknown("this system does not say what is free")


def read_folder(use: str, path: Path) -> Folder:
    """Whether a folder, which need not be there yet, can be written."""
    nearest = path
    while not os.path.lexists(nearest) and nearest != nearest.parent:
        nearest = nearest.parent
    try:
        free = os.statvfs(nearest)
    except OSError:
        return Folder(use, str(path), str(nearest), 0)
    can_write = nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)
    return Folder(use, str(path), "" if can_write else str(nearest), free.f_bavail * free.f_frsize)


def read_room(path: str) -> Room | Unknown:
    """What a disk has left for root, who the engine is."""
    try:
        found = os.statvfs(path)
    except OSError as exc:
        return Unknown(f"{path} cannot be looked at: {exc.strerror}")
    # File systems without a fixed number of files say 0 of 0.
    free_files = found.f_ffree if found.f_files else None
    return Room(path, found.f_bfree * found.f_frsize, free_files)


def read_kernel(
    modules: Iterable[str], release: str, root: Path = Path("/")
) -> Mapping[str, Feature]:
    """Whether the running kernel has these modules, as far as its files tell."""
    loaded = {line.split(" ", 1)[0] for line in _text(root / "proc/modules").splitlines()}
    folder = root / "lib/modules" / release
    built_in = _module_names(_text(folder / "modules.builtin"))
    loadable = _module_names(_text(folder / "modules.dep"))
    config = _config(release, root)
    found = {}
    for module in modules:
        if module in loaded:
            found[module] = Feature.LOADED
        elif module in built_in or config.get(_OPTION[module]) == "y":
            found[module] = Feature.BUILT_IN
        elif module in loadable:
            found[module] = Feature.LOADABLE
        else:
            # A kernel that says nothing of itself may have it; one that does, has it not.
            is_told = bool(config) or bool(loadable)
            found[module] = Feature.MISSING if is_told else Feature.UNKNOWN
    return found


def _module_names(text: str) -> set[str]:
    """Names in modules.builtin or modules.dep: `kernel/net/sched/sch_tbf.ko.xz: …`."""
    files = (line.partition(":")[0] for line in text.splitlines())
    return {Path(file).name.partition(".ko")[0].replace("-", "_") for file in files}


def _config(release: str, root: Path) -> dict[str, str]:
    """The kernel's own configuration, as far as these options go."""
    text = _text(root / "boot" / f"config-{release}")
    with suppress(OSError, EOFError), gzip.open(root / "proc/config.gz") as file:
        text = text or file.read(_MAX_BYTES).decode(errors="replace")
    return dict(re.findall(r"^(CONFIG_\w+)=([ym])$", text, re.MULTILINE))
