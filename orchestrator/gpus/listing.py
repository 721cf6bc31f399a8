"""What `nvidia-smi` prints of GPUs and slices, read into an inventory. Pure.

Three texts make one: the query has all that is known of whole GPUs; only `-L` has the UUIDs
of slices; only the XML has the numbers of their instances and their memory.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.errors import GpuUnavailable
from orchestrator.gpus.inventory import Gpu, Slice

QUERY = (
    "--query-gpu=index,uuid,name,memory.total,compute_mode,mig.mode.current,driver_version",
    "--format=csv,noheader,nounits",
)
LIST = ("-L",)
DETAILS = ("-q", "-x")
USE_CPU = "use gpu.mode: cpu where there is no GPU"

_UUID = re.compile(r"GPU-[0-9A-Za-z-]{1,64}", re.ASCII)
_LISTED_GPU = re.compile(r"GPU [0-9]+: .*\(UUID: (GPU-[0-9A-Za-z-]{1,64})\)", re.ASCII)
_LISTED_SLICE = re.compile(
    r"\s+MIG (?P<profile>[0-9a-z.+-]{1,32})\s+Device\s+(?P<index>[0-9]{1,4}):"
    r" \(UUID: (?P<uuid>MIG-[0-9A-Za-z/-]{1,96})\)",
    re.ASCII,
)
_WORD = re.compile(r"[A-Za-z_]{1,32}", re.ASCII)
_VERSION = re.compile(r"[0-9]{1,4}(\.[0-9]{1,4}){1,3}", re.ASCII)


class _Detail(Struct, frozen=True):
    """What the XML has of a slice."""

    gpu_instance: int | None
    compute_instance: int | None
    memory_bytes: int | None


def parse_query(text: str) -> tuple[Gpu, ...]:
    """What `nvidia-smi` answered to QUERY, in the order of the indexes.

    Raises:
        GpuUnavailable: it lists no GPU, or is not such a list.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if lines in ([], ["No devices were found"]):
        raise no_gpu()
    gpus = sorted(map(_gpu, lines), key=lambda gpu: gpu.index)
    if len({gpu.uuid for gpu in gpus}) < len(gpus) or len({g.index for g in gpus}) < len(gpus):
        raise _garbage("the same GPU twice")
    return tuple(gpus)


def _gpu(line: str) -> Gpu:
    cells = [cell.strip() for cell in line.split(",")]
    if len(cells) != 7:
        raise _garbage(line)
    index, uuid, name, memory_mib, compute_mode, mig, driver = cells
    if not re.fullmatch(r"[0-9]{1,4}", index) or not _UUID.fullmatch(uuid):
        raise _garbage(line)
    # What a GPU does not have is `[N/A]` or `[Not Supported]`, depending on the driver.
    gpu = Gpu(int(index), uuid, name, _mib(memory_mib), mig == "Enabled")
    if _WORD.fullmatch(compute_mode):
        gpu = replace(gpu, compute_mode=compute_mode)
    return replace(gpu, driver_version=driver) if _VERSION.fullmatch(driver) else gpu


def _mib(text: str) -> int | None:
    return int(text) * 1024**2 if re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) else None


def with_slices(gpus: tuple[Gpu, ...], listed: str, details: str) -> tuple[Gpu, ...]:
    """The same GPUs with their MIG slices.

    Args:
        gpus: as the query has them.
        listed: what `nvidia-smi` answered to LIST.
        details: what it answered to DETAILS.

    Raises:
        GpuUnavailable: one of them is no such list.
    """
    slices, known = _listed_slices(listed), _details(details)
    return tuple(
        replace(
            gpu,
            slices=tuple(
                _detailed(each, known.get((gpu.uuid, each.index)))
                for each in sorted(slices.get(gpu.uuid, ()), key=lambda each: each.index)
            ),
        )
        for gpu in gpus
    )


def _listed_slices(text: str) -> Mapping[str, list[Slice]]:
    """`{GPU: slices}`; lines that tell of something else are no business of ours."""
    slices: dict[str, list[Slice]] = {}
    seen: set[str] = set()
    gpu = ""
    for line in text.splitlines():
        if match := _LISTED_GPU.fullmatch(line.rstrip()):
            gpu = match[1]
        elif match := _LISTED_SLICE.fullmatch(line.rstrip()):
            slices.setdefault(gpu, []).append(_slice(match, seen))
        elif line.lstrip().startswith("MIG "):
            raise _garbage(line)
    if "" in slices:
        raise _garbage("a MIG slice of no GPU")
    return slices


def _slice(match: re.Match[str], seen: set[str]) -> Slice:
    uuid = match["uuid"]
    if "/" in uuid:
        raise GpuUnavailable(
            f"this driver names MIG slices by their place ({uuid}), which says nothing inside "
            "a node",
            fix="update it to 470 or newer, whose slices have UUIDs of their own",
        )
    if uuid in seen:
        raise _garbage("the same MIG slice twice")
    seen.add(uuid)
    return Slice(uuid, match["profile"], int(match["index"]))


def _details(text: str) -> Mapping[tuple[str, int], _Detail]:
    """`{(GPU, index of the slice): …}`."""
    from xml.etree import ElementTree as ET  # only who has slices pays for it

    # It declares no entities, with which a short text could become an endless one.
    if "<!ENTITY" in text:
        raise _garbage("XML with entities")
    try:
        root = ET.fromstring(text)  # noqa: S314  (see above, and its size is bounded)
    except ET.ParseError as exc:
        raise _garbage(text or "nothing instead of XML") from exc
    found = {}
    for gpu in root.iter("gpu"):
        uuid = (gpu.findtext("uuid") or "").strip()
        for each in gpu.iterfind("mig_devices/mig_device"):
            index = _number(each.findtext("index"))
            if index is not None:
                found[uuid, index] = _Detail(
                    _number(each.findtext("gpu_instance_id")),
                    _number(each.findtext("compute_instance_id")),
                    _mib((each.findtext("fb_memory_usage/total") or "").removesuffix(" MiB")),
                )
    return found


def _number(text: str | None) -> int | None:
    text = (text or "").strip()
    return int(text) if re.fullmatch(r"[0-9]{1,6}", text, re.ASCII) else None


def _detailed(each: Slice, detail: _Detail | None) -> Slice:
    if detail is None:
        return each
    return replace(
        each,
        gpu_instance=detail.gpu_instance,
        compute_instance=detail.compute_instance,
        memory_bytes=detail.memory_bytes,
    )


def refusal(code: int, text: str) -> GpuUnavailable:
    """What it means that `nvidia-smi` ended with this code other than 0, and said this."""
    if "no devices were found" in text.lower():
        return no_gpu()
    said = " ".join(text.split())[:300].rstrip(".") or f"exit code {code}"
    return GpuUnavailable(
        f"nvidia-smi failed: {said}", fix=f"mend or update the driver, or {USE_CPU}"
    )


def no_gpu() -> GpuUnavailable:
    """A driver, and nothing for it to drive."""
    return GpuUnavailable(
        "this machine has an NVIDIA driver and no GPU that it can use", fix=USE_CPU
    )


def _garbage(said: str) -> GpuUnavailable:
    shown = " ".join(said.split())[:100]
    return GpuUnavailable(
        f"nvidia-smi printed what is no list of GPUs: {shown!r}",
        fix="see whether the `nvidia-smi` on your PATH is the driver's own",
    )
