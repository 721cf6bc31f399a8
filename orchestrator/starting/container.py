"""One container as a command or a Compose file asks for it, and what is said of it. Pure."""

from __future__ import annotations

import os.path
import re
from pathlib import PurePosixPath
from typing import Any, Literal

from msgspec import Struct, field

from orchestrator.playbook.reserved import RESERVED, RESERVED_PREFIX
from orchestrator.playbook.template import has_template
from orchestrator.playbook.units import format_size
from orchestrator.starting.draft import Template
from orchestrator.starting.shell import as_written, is_unknown

_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSW|PASSPHRASE|CREDENTIAL|AUTH")
_LIVE_VARIABLE = re.compile("\ue002(?:\\{([A-Za-z_]\\w*)\\}|([A-Za-z_]\\w*))", re.ASCII)
_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,9})?)\s*([kmgt]?)(?:i?b)?", re.ASCII | re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_GPU_VARIABLES = ("NVIDIA_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES")

Weight = Literal["mended", "left out"]


class Note(Struct, frozen=True):
    """Something that is not in the playbook as it was asked for.

    Attributes:
        weight: whether another word of the playbook serves, or none does.
        what: a flag or key.
        value: what was asked of it, or empty.
        why: the reason.
        instead: the field of the playbook that serves, or empty.
    """

    weight: Weight
    what: str
    value: str
    why: str
    instead: str = ""


class NotSaidError(Exception):
    """A value that cannot be understood: what is wrong with it, and how to mend it."""

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix


class Container(Struct, eq=False):
    """One container, or several alike.

    Attributes:
        where: how it is called when something is said of it.
        line: where it begins in its file.
        group: what it says of the process group: RANK, MASTER_ADDR, …
        gpus: `all`, a number of GPUs, or their indices; empty: none.
        notes: what cannot be carried over as it is.
    """

    where: str
    line: int = 1
    image: str = ""
    build: dict[str, Any] | None = None
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    group: dict[str, str] = field(default_factory=dict)
    env_files: list[str] = field(default_factory=list)
    mounts: list[dict[str, Any]] = field(default_factory=list)
    resources: dict[str, Any] = field(default_factory=dict)
    networks: list[str] = field(default_factory=list)
    user: str | int | None = None
    workdir: str = ""
    gpus: str = ""
    pull: str = ""
    num_replicas: int = 1
    notes: list[Note] = field(default_factory=list)

    def mend(self, what: str, value: str, why: str, instead: str = "") -> None:
        """Say that something stands otherwise in the playbook."""
        self.notes.append(Note("mended", what, as_written(value), why, instead))

    def leave_out(self, what: str, value: str, why: str, instead: str = "") -> None:
        """Say that something is not in the playbook."""
        self.notes.append(Note("left out", what, as_written(value), why, instead))

    def set_variable(self, name: str, value: str | None) -> None:
        """Set a variable; None: to what it is on this machine."""
        if name in RESERVED:
            self.group[name] = value or ""
        elif name in _GPU_VARIABLES:
            self.gpus = self.gpus or ("" if value in {"void", "none", None} else value)
            self.mend(name, value or "", "GPUs are chosen by UUID for each node", "gpu.devices")
        elif name.startswith(RESERVED_PREFIX) or not _NAME.fullmatch(name):
            self.leave_out("variable", name, "no variable of a playbook may be called that")
        elif value is None:
            self.env[name] = Template(f"{{{{ env('{name}', '') }}}}")
        elif _SECRET.search(name.upper()) and value and not is_unknown(value):
            self.env[name] = Template(f"{{{{ env('{name}', '') }}}}")
            why = "it looks like a secret: its value is taken from this machine's environment"
            self.mend(name, "", why, "ranks.secrets")
        else:
            self._set_known(name, value)

    def _set_known(self, name: str, value: str) -> None:
        text = templated(value)
        if text is None:
            self.leave_out("variable", f"{name}={value}", _SHELL, "ranks.env")
        else:
            self.env[name] = text

    def mount(self, source: str, target: str, *, read_only: bool, flag: str) -> None:
        """Mount a file or folder of this machine; a volume of the engine is none."""
        asked = f"{source}:{target}"
        if PurePosixPath(source).name == "docker.sock":
            why = "the Docker socket gives a node the whole machine"
            self.leave_out(flag, asked, why, "security")
            return
        text = templated(source)
        if text is None or is_unknown(target):
            self.leave_out(flag, asked, _SHELL, "ranks.mounts")
        elif not isinstance(text, Template) and not text.startswith((".", "/", "~")):
            why = "a volume of the engine: name a folder of this machine"
            self.leave_out(flag, asked, why, "ranks.mounts")
        else:
            home = Template("{{ env('HOME') }}" + text[1:]) if text.startswith("~/") else text
            writable = {} if read_only else {"read_only": False}
            self.mounts.append({"source": home, "target": target, **writable})

    def limit(self, what: str, value: str) -> None:
        """Set one of the limits: cpus, memory, shm_size, pids.

        Raises:
            NotSaidError: the value is no number or size.
        """
        if what in {"memory", "shm_size"}:
            self.resources[what] = size(value)
        elif (number := _number(value)) > 0:
            self.resources[what] = number if what == "cpus" else int(number)


_SHELL = "only a running shell knows what it is"


def templated(text: str) -> str | None:
    """Text with the shell's variables as templates; None where only a shell knows what it is."""
    if not is_unknown(text):
        return text
    filled = _LIVE_VARIABLE.sub(lambda found: f"{{{{ env('{found[1] or found[2]}') }}}}", text)
    return None if is_unknown(filled) or has_template(text) else Template(filled)


def size(value: str) -> str:
    """A size as docker takes it (`2g` is 2 GiB), the way a playbook writes it."""
    found = _SIZE.fullmatch(value.strip())
    if not found:
        raise NotSaidError(f"{value!r} is not a size", "write it like 512m or 2g")
    return format_size(int(float(found[1]) * 1024 ** _POWERS[found[2].lower()]))


def _number(value: str) -> float:
    try:
        number = float(value) if len(value) <= 40 else float("inf")
    except ValueError:
        number = float("nan")
    if not -1e6 < number < 1e6:
        raise NotSaidError(f"{value!r} is not a number", "write it like 2 or 0.5")
    return number


def seen_from(folder: str, mount: dict[str, Any], base: str) -> dict[str, Any]:
    """A mount as a playbook in `folder` has it, where relative paths began at `base`.

    Args:
        folder: of the playbook, absolute.
        mount: with its source as it was written.
        base: absolute.
    """
    source = mount["source"]
    if isinstance(source, Template):
        return {**mount, "outside": True}
    path = os.path.normpath(os.path.join(base, source))
    inner = os.path.relpath(path, folder)
    if inner.split("/")[0] != "..":
        return {**mount, "source": inner if inner == "." else f"./{inner}"}
    return {**mount, "source": path if source.startswith("/") else inner, "outside": True}
