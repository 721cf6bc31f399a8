"""What stands in for NVIDIA's container toolkit, for each way in which an engine uses it.

What a container is given can be seen from inside: the stand-ins leave one file for each GPU or
MIG slice, named by its UUID, in `/gpus` (the hook) or `/dev/gpus` (device nodes, by CDI). All
else is real: the engine, its records, the runtime that makes containers.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.e2e.second_engine import docker

SHOW = "echo GIVEN: $(ls /gpus /dev/gpus 2>/dev/null | grep -)"
"""A line of shell that says which GPUs a container really got."""

# As runc runs it before the container's program: the state on its standard input, and beside
# it the container's configuration. `void`, `none` and nothing mean that it has nothing to do.
_HOOK = """\
#!{python} -I
import json, pathlib, sys
bundle = pathlib.Path(json.load(sys.stdin)["bundle"])
config = json.loads((bundle / "config.json").read_text())
env = dict(each.partition("=")[::2] for each in config["process"]["env"])
asked = env.get("NVIDIA_VISIBLE_DEVICES", "void")
gpus = {gpus!r} if asked == "all" else [] if asked in ("void", "none", "") else asked.split(",")
unknown = [gpu for gpu in gpus if gpu not in {gpus!r}]
if unknown:
    sys.exit(f"nvidia-container-cli: device error: {{unknown[0]}}: unknown device")
place = bundle / config["root"]["path"] / "gpus"
for gpu in gpus:
    place.mkdir(exist_ok=True)
    (place / gpu).touch()
"""

# As NVIDIA's own does for an engine of which it is the default: every container gets the hook.
_RUNTIME = """\
#!{python} -I
import json, os, pathlib, sys
argv = sys.argv[1:]
if "create" in argv:
    path = pathlib.Path(argv[argv.index("--bundle") + 1]) / "config.json"
    config = json.loads(path.read_text())
    hooks = config.setdefault("hooks", {{}}).setdefault("prestart", [])
    if not any(each["path"] == {hook!r} for each in hooks):
        hooks.append({{"path": {hook!r}, "args": ["hook", "prestart"]}})
    path.write_text(json.dumps(config))
os.execvp("runc", ["runc", *argv])
"""


def put_hook(folder: Path, gpus: Sequence[str]) -> dict[str, object]:
    """Put NVIDIA's hook into a folder of the engine's PATH; what its configuration says then.

    The engine finds the hook by its name as it starts, and offers `--gpus` then. NVIDIA's
    runtime is its default, as on many a machine: without a word of it, a container whose image
    presets `NVIDIA_VISIBLE_DEVICES=all` sees all GPUs.
    """
    hook, runtime = folder / "nvidia-container-runtime-hook", folder / "nvidia-container-runtime"
    _put(hook, _HOOK.format(python=sys.executable, gpus=list(gpus)))
    _put(runtime, _RUNTIME.format(python=sys.executable, hook=str(hook)))
    return {"runtimes": {"nvidia": {"path": str(runtime)}}, "default-runtime": "nvidia"}


def _put(program: Path, text: str) -> None:
    program.write_text(text)
    program.chmod(0o755)


def put_cdi(folder: Path, gpus: Sequence[str]) -> dict[str, object]:
    """Put a specification of all GPUs into a folder; what the engine's configuration says then."""
    devices = [
        {
            "name": gpu,
            "containerEdits": {
                "deviceNodes": [{"path": f"/dev/gpus/{gpu}", "hostPath": "/dev/null"}]
            },
        }
        for gpu in gpus
    ]
    spec = {
        "cdiVersion": "0.5.0",
        "kind": "nvidia.com/gpu",
        # As the toolkit writes it, so that its runtime adds nothing.
        "containerEdits": {"env": ["NVIDIA_VISIBLE_DEVICES=void"]},
        "devices": devices,
    }
    (folder / "nvidia.json").write_text(json.dumps(spec))
    return {"features": {"cdi": True}, "cdi-spec-dirs": [str(folder)]}


TRAINER = """#!/bin/sh
joined='"event": "process_group_joined", "backend": "gloo", "rank_sum": 1'
of="\\"rank\\": $RANK, \\"run_id\\": \\"$ORCHESTRATE_RUN_ID\\""
group="\\"world_size\\": $WORLD_SIZE, \\"master_addr\\": \\"$MASTER_ADDR\\""
echo "{$joined, $of, $group, \\"gpu\\": \\"$(ls /gpus | head -n 1)\\"}"
echo "{\\"event\\": \\"step\\", \\"step\\": 1, \\"loss\\": 5.5, $of}"
"""
"""A `python` that says what the trainer would, of the GPU that this container really got."""


def with_trainer(host: str, base: str) -> str:
    """An image on an engine, whose `python` is that one."""
    put = "cat > /bin/python; chmod 755 /bin/python"
    made = docker(host, "create", "--interactive", "--network=none", base, "sh", "-c", put).strip()
    docker(host, "start", "--attach", "--interactive", made, given=TRAINER.encode())
    docker(host, "commit", made, "with-trainer:1")
    docker(host, "rm", made)
    return "with-trainer:1"
