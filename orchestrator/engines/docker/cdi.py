"""Which devices an engine can inject by a CDI specification.

Engines from 28.2 on list them. Those from 25 on, where their configuration says
`features: {cdi: true}`, name the folders that they read specifications from, as do the newer
ones; older engines and those without the feature name none.
[moby: api/types/system/info.go, CDISpecDirs and DiscoveredDevices; CDI's SPEC.md]
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from orchestrator.engines.docker.reading import Json

MAX_SPEC_BYTES = 4 * 1024**2
MAX_SPECS = 64


def cdi_devices(info: Json) -> frozenset[str]:
    """The CDI names that an engine knows, from what it says of itself."""
    listed = [
        str(each.get("ID"))
        for each in info.get("DiscoveredDevices") or []
        if each.get("Source") == "cdi"
    ]
    described = (name for folder in info.get("CDISpecDirs") or [] for name in _in(Path(folder)))
    return frozenset((*listed, *described))


def _in(folder: Path) -> Iterator[str]:
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix in {".json", ".yaml"})
    except OSError:  # an engine names folders that need not be there
        return
    for file in files[:MAX_SPECS]:
        yield from _names(_read(file))


def _read(file: Path) -> Any:
    """What a specification says; None of one that cannot be read, which the engine passes over."""
    import yaml  # a specification is written in YAML or in JSON, which is YAML too

    try:
        with file.open("rb") as stream:
            return yaml.load(stream.read(MAX_SPEC_BYTES), Loader=_loader())  # noqa: S506  (safe)
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return None


def _loader() -> Any:
    import yaml

    # The one in C takes a tenth of the time for eight GPUs and their slices. What root has put
    # into these folders is as trustworthy as the engine that reads it.
    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _names(spec: Any) -> Iterator[str]:
    if not isinstance(spec, dict) or not isinstance(spec.get("devices"), list):
        return
    for device in spec["devices"]:
        if isinstance(device, dict):
            yield f"{spec.get('kind')}={device.get('name')}"
