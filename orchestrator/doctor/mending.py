"""The command that mends something, as the machine's own system has it. Pure."""

from __future__ import annotations

from orchestrator.doctor.facts import Family, System
from orchestrator.doctor.finding import RunProgram

_INSTALL = {
    Family.DEBIAN: "apt-get install -y",
    Family.FEDORA: "dnf install -y",
    Family.ARCH: "pacman -S --noconfirm",
    Family.SUSE: "zypper install -y",
}
_DOCKER = {
    Family.DEBIAN: "docker.io",
    Family.FEDORA: "moby-engine",
    Family.ARCH: "docker",
    Family.SUSE: "docker",
}
_BUILDX = dict.fromkeys(_DOCKER, "docker-buildx")
_BUILDX_SINCE = 13
"""The first Debian that has it in a package; before, only Docker's own repository does."""

_DOCKERS_OWN = "https://download.docker.com/linux/centos/docker-ce.repo"
_TOOLKIT_PAGE = (
    "https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/install-guide.html"
)
_NON_FREE = "with `contrib non-free non-free-firmware` in /etc/apt/sources.list: "


def as_root(system: System, command: str) -> str:
    """The command as this user must call it; each part of it that `&&` joins."""
    if system.is_root or not command:
        return command
    return " && ".join(f"sudo {part}" for part in command.split(" && "))


def _install(system: System, packages: dict[Family, str]) -> str:
    return f"{_INSTALL[system.family]} {packages[system.family]}"


def install_docker(system: System) -> str:
    """Get a Docker engine and its command."""
    if system.family is Family.MACOS:
        return "brew install --cask docker && open -a Docker"
    if system.is_wsl:
        return (
            "install Docker Desktop on Windows and turn on its WSL integration for this "
            f"distribution, or: {_engine_here(system)}"
        )
    return _engine_here(system)


def _engine_here(system: System) -> str:
    start = _start_service(system, "docker")
    if system.family not in _INSTALL:
        return "see https://docs.docker.com/engine/install/"
    if system.is_enterprise:
        add = f"dnf config-manager --add-repo {_DOCKERS_OWN}"
        return as_root(system, f"{add} && dnf install -y docker-ce docker-buildx-plugin && {start}")
    return as_root(system, f"{_install(system, _DOCKER)} && {start}")


def _start_service(system: System, name: str) -> str:
    if system.has_systemd:
        return f"systemctl start {name}"
    return f"service {name} start"


def start_docker(system: System) -> str:
    """Start an engine that is installed."""
    if system.family is Family.MACOS:
        return "open -a Docker"
    if not (system.has_systemd or system.has_init_script):
        return as_root(system, "dockerd    (it stays in front; in the checkout: docker/setup.sh)")
    return as_root(system, _start_service(system, "docker"))


def start_docker_remedy(system: System) -> tuple[RunProgram, ...]:
    """The same, for `--fix`: only where a service of this machine is to be started."""
    if not (system.has_systemd or system.has_init_script):
        return ()
    return (RunProgram(tuple(_start_service(system, "docker").split())),)


def update_docker(system: System) -> str:
    """Get a newer engine."""
    if system.family is Family.MACOS:
        return "update Docker Desktop"
    return "install a newer engine: https://docs.docker.com/engine/install/"


def install_buildx(system: System) -> str:
    """Get docker's plugin for BuildKit."""
    if system.family is Family.MACOS or system.is_wsl:
        return "it comes with Docker Desktop; update that"
    if system.family not in _INSTALL:
        return "see https://github.com/docker/buildx#installing"
    is_old = system.family is Family.DEBIAN and system.version < _BUILDX_SINCE
    if system.is_enterprise or (is_old and not system.is_ubuntu):
        get = as_root(system, f"{_INSTALL[system.family]} docker-buildx-plugin")
        return f"with Docker's package repository (https://docs.docker.com/engine/install/): {get}"
    return as_root(system, _install(system, _BUILDX))


def install_modules(system: System) -> str:
    """Get the kernel modules that a distribution keeps in a package of its own."""
    if system.is_wsl:
        return "use a kernel that has it: https://learn.microsoft.com/windows/wsl/wsl-config"
    if system.family is Family.FEDORA:
        return as_root(system, 'dnf install -y "kernel-modules-extra-$(uname -r)"')
    if system.family is Family.DEBIAN and system.is_ubuntu:
        return as_root(system, 'apt-get install -y "linux-modules-extra-$(uname -r)"')
    return "boot the distribution's own kernel, which has it as a module"


def install_driver(system: System) -> str:
    """Get NVIDIA's driver."""
    if system.is_wsl:
        return "install NVIDIA's driver on Windows: WSL shares it"
    if system.is_ubuntu:
        return as_root(system, "ubuntu-drivers install")
    if system.family is Family.DEBIAN:
        return _NON_FREE + as_root(system, "apt-get update && apt-get install -y nvidia-driver")
    if system.family is Family.FEDORA and not system.is_enterprise:
        return f"with RPM Fusion's repository: {as_root(system, 'dnf install -y akmod-nvidia')}"
    if system.family is Family.ARCH:
        return as_root(system, "pacman -S --noconfirm nvidia")
    return "see https://www.nvidia.com/drivers"


def install_toolkit(system: System) -> str:
    """Get NVIDIA's container toolkit; Debian and Fedora take it from NVIDIA's own repository."""
    configure = f"nvidia-ctk runtime configure --runtime=docker && {_restart(system)}"
    if system.family not in _INSTALL:
        return f"see {_TOOLKIT_PAGE}"
    get = as_root(system, f"{_INSTALL[system.family]} nvidia-container-toolkit && {configure}")
    is_packaged = system.family is Family.ARCH
    return get if is_packaged else f"add NVIDIA's package repository ({_TOOLKIT_PAGE}), then: {get}"


def _restart(system: System) -> str:
    return _start_service(system, "docker").replace("start", "restart")


def configure_toolkit(system: System) -> str:
    """Tell the engine of the toolkit that is there; it must be restarted for it."""
    command = f"nvidia-ctk runtime configure --runtime=docker && {_restart(system)}"
    return as_root(system, command)


GENERATE_CDI = ("nvidia-ctk", "cdi", "generate", "--output=/etc/cdi/nvidia.yaml")


def generate_cdi(system: System) -> str:
    """Write down the GPUs for the engine, as CDI has it."""
    return as_root(system, " ".join(GENERATE_CDI))
