"""A stand-in for the `nvidia-smi` of machines that the tests have not: no GPU is needed.

The texts are what the real one prints for the questions of `orchestrator.gpus.listing`
(NVIDIA's documentation of nvidia-smi and MIG, and reports of its users).
"""

from __future__ import annotations

import shlex
from pathlib import Path

UUIDS = (
    "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6",
    "GPU-1a2b3c4d-5e6f-4711-8899-aabbccddeeff",
    "GPU-c0ffee00-0000-4000-8000-000000000002",
    "GPU-deadbeef-0000-4000-8000-000000000003",
    "GPU-00000000-0000-4000-8000-000000000004",
    "GPU-00000000-0000-4000-8000-000000000005",
    "GPU-00000000-0000-4000-8000-000000000006",
    "GPU-00000000-0000-4000-8000-000000000007",
)
MIG_UUIDS = (
    "MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f",
    "MIG-cba663e8-9bed-5b25-b243-5985ef7c9beb",
    "MIG-1e28f35c-09ec-529c-a2dd-cb7afa6cb77b",
)
PROFILES = ("3g.20gb", "2g.10gb", "1g.5gb")
_INSTANCES = ((1, 20096), (5, 9984), (13, 4864))

DRIVER = "550.54.15"
NAME = "NVIDIA A100-SXM4-40GB"
ROWS = tuple(
    f"{index}, {uuid}, {NAME}, 40960, Default, Disabled, {DRIVER}\n"
    for index, uuid in enumerate(UUIDS)
)
NO_DEVICES = "No devices were found\n"
NO_DRIVER = (
    "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that "
    "the latest NVIDIA driver is installed and running.\n\n"
)
MISMATCH = "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 535\n"

_ANSWERS = {
    "query": "--query-gpu=index,uuid,name,memory.total,compute_mode,mig.mode.current,driver_version"
    " --format=csv,noheader,nounits",
    "list": "-L",
    "xml": "-q -x",
}


def put_nvidia_smi(
    folder: Path, text: str, *, code: int = 0, hangs: str = "", listed: str = "", xml: str = ""
) -> Path:
    """Put an `nvidia-smi` into a folder that is to be on PATH; it answers three questions.

    Args:
        folder: where.
        text: the answer to the query.
        code: what it exits with, whatever it is asked.
        hangs: the question that it does not answer: query, list or xml.
        listed: the answer to `-L`; empty: it fails.
        xml: the answer to `-q -x`; empty: it fails.
    """
    folder.mkdir(exist_ok=True)
    cases = ""
    for name, answer in {"query": text, "list": listed, "xml": xml}.items():
        file = folder / f"nvidia-smi.{name}"
        file.write_text(answer)
        if answer or name == "query":
            said = f"cat {shlex.quote(str(file))}; exit {code}"
            # A hanging one has a child of its own, which holds its output open.
            said = "sleep 600; exit 1" if name == hangs else said
            cases += f'"{_ANSWERS[name]}") {said} ;;\n'
    script = folder / "nvidia-smi"
    script.write_text(
        f'#!/bin/sh\ncase "$*" in\n{cases}'
        '*) echo "Invalid combination of input arguments: $*"; exit 2 ;;\nesac\n'
    )
    script.chmod(0o755)
    return folder


def num_gpus(num: int) -> str:
    """What it prints on a machine with so many."""
    return "".join(ROWS[:num]) or NO_DEVICES


def put_mig_machine(folder: Path, *, num_whole: int = 0) -> Path:
    """One GPU that is cut into three slices, and whole ones after it."""
    sliced = f"0, {UUIDS[0]}, {NAME}, 40960, Default, Enabled, {DRIVER}\n"
    rows = sliced + "".join(ROWS[1 : 1 + num_whole])
    listed = mig_list() + "".join(
        f"GPU {index}: {NAME} (UUID: {UUIDS[index]})\n" for index in range(1, 1 + num_whole)
    )
    return put_nvidia_smi(folder, rows, listed=listed, xml=mig_xml())


def mig_list() -> str:
    """What `nvidia-smi -L` prints of the GPU that is cut."""
    slices = zip(PROFILES, MIG_UUIDS, strict=True)
    return f"GPU 0: {NAME} (UUID: {UUIDS[0]})\n" + "".join(
        f"  MIG {profile:<11} Device  {index}: (UUID: {uuid})\n"
        for index, (profile, uuid) in enumerate(slices)
    )


def mig_xml() -> str:
    """What matters of `nvidia-smi -q -x`; the real one has some hundred lines more."""
    devices = "".join(
        f"<mig_device><index>{index}</index><gpu_instance_id>{instance}</gpu_instance_id>"
        "<compute_instance_id>0</compute_instance_id>"
        f"<fb_memory_usage><total>{mib} MiB</total><used>0 MiB</used></fb_memory_usage>"
        "</mig_device>\n"
        for index, (instance, mib) in enumerate(_INSTANCES)
    )
    return (
        '<?xml version="1.0" ?>\n<!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_v12.dtd">\n'
        f"<nvidia_smi_log>\n<driver_version>{DRIVER}</driver_version>\n"
        f'<gpu id="00000000:07:00.0">\n<uuid>{UUIDS[0]}</uuid>\n'
        f"<mig_devices>\n{devices}</mig_devices>\n</gpu>\n"
        f'<gpu id="00000000:0F:00.0">\n<uuid>{UUIDS[1]}</uuid>\n'
        "<mig_devices>\nNone\n</mig_devices>\n</gpu>\n</nvidia_smi_log>\n"
    )


def put_settable_gpu(folder: Path) -> Path:
    """Put an `nvidia-smi` for a machine with one GPU whose compute mode can be set, into a folder.

    What is set is a line of `calls` there. With a file `forbidden` it refuses, as for whoever is
    not root; with a file `slow` it does not end once the mode is set.
    """
    folder.mkdir(exist_ok=True)
    (folder / "mode").write_text("Default\n")
    (folder / "calls").touch()
    row = f"0, {UUIDS[0]}, {NAME}, 40960, $(cat mode), Disabled, {DRIVER}"
    script = folder / "nvidia-smi"
    script.write_text(
        "#!/bin/sh\n"
        f"cd {shlex.quote(str(folder))}\n"
        'case "$*" in\n'
        f'"{_ANSWERS["query"]}") echo "{row}" ;;\n'
        f'"-i {UUIDS[0]} --query-gpu=compute_mode --format=csv,noheader") cat mode ;;\n'
        f'"-i {UUIDS[0]} -c "*)\n'
        "  if [ -e forbidden ]; then\n"
        "    echo 'Unable to set the compute mode for GPU 00000000:00:1E.0: Insufficient"
        " Permissions'\n"
        "    echo 'Terminating early due to previous errors.'; exit 4\n"
        "  fi\n"
        '  echo "$4" >> calls\n'
        '  case "$4" in EXCLUSIVE_PROCESS) echo Exclusive_Process ;; *) echo Default ;;'
        " esac > mode\n"
        "  while [ -e slow ]; do sleep 0.1; done ;;\n"
        '*) echo "Invalid combination of input arguments: $*"; exit 2 ;;\n'
        "esac\n"
    )
    script.chmod(0o755)
    return folder
