"""A result -> JUnit's XML, the form that CI systems read. Pure but for writing the file.

One test case for each check, `alive` included. The standard library writes it: what a JUnit
library would add to that is classes for the same elements, and what matters here, texts with
characters that XML has no way to write, they leave to their caller.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

from msgspec import Struct, field

from orchestrator.errors import FolderUnusable
from orchestrator.redaction import redacted
from orchestrator.verify.results import CheckResult, Finding, Status

# All that XML 1.0 cannot hold, escaped or not; and C1, which some readers refuse.
_NOT_XML = re.compile(r"[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Suite(Struct, frozen=True):
    """What is reported of one run.

    Attributes:
        name: of the project, or of the playbook where it could not be read.
        began_at_s: in seconds since the epoch.
        took_s: how long the command took.
        results: the checks, in the order they were declared in.
        properties: `{name: value}` of the run; empty values are left out.
        headline: what failed first, in a line.
        error: why there are no results, or none that count; empty where it came to its end.
        error_kind: the name of the error's exit code.
        verb: the command that ended in the error.
        times_s: `{check: seconds}` until it was settled, as far as somebody was watching.
    """

    name: str
    began_at_s: float
    took_s: float
    results: Sequence[CheckResult] = ()
    properties: Mapping[str, str] = field(default_factory=dict)
    headline: str = ""
    error: str = ""
    error_kind: str = ""
    verb: str = "apply"
    times_s: Mapping[str, float] = field(default_factory=dict)


def junit_xml(suite: Suite) -> bytes:
    """The whole file."""
    statuses = [result.status for result in suite.results]
    counts = {
        "tests": len(statuses) + bool(suite.error),
        "failures": statuses.count(Status.FAILED),
        "errors": int(bool(suite.error)),
        "skipped": len([each for each in statuses if each in {Status.SKIPPED, Status.PENDING}]),
    }
    shared = {name: str(count) for name, count in counts.items()} | {"time": _time(suite.took_s)}
    # Jenkins' schema has no `skipped` on the root.
    root = ET.Element("testsuites", {k: v for k, v in shared.items() if k != "skipped"})
    began_at = datetime.fromtimestamp(suite.began_at_s, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    element = _add(root, "testsuite", name=suite.name, timestamp=began_at, **shared)
    properties = _add(element, "properties")
    for name, value in suite.properties.items():
        if value:
            _add(properties, "property", name=name, value=value)
    for result in suite.results:
        _add_case(element, suite, result)
    if suite.error:
        case = _add(element, "testcase", name=suite.verb, classname=suite.name, time="0.000")
        _add(case, "error", suite.error, message=_line(suite.error), type=suite.error_kind)
    if suite.headline:
        _add(element, "system-out", suite.headline)
    text: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _add_case(parent: ET.Element, suite: Suite, result: CheckResult) -> None:
    time = _time(suite.times_s.get(result.name, 0.0))
    case = _add(parent, "testcase", name=result.name, classname=suite.name, time=time)
    match result.status:
        case Status.FAILED:
            text = "\n".join([result.why, *map(_finding, result.findings)])
            _add(case, "failure", text, message=_line(result.why), type=result.name)
        case Status.SKIPPED | Status.PENDING:
            _add(case, "skipped", message=_line(result.why))
        case Status.OK:
            _add(case, "system-out", result.why)


def _finding(finding: Finding) -> str:
    who = f"rank {finding.rank}" if finding.rank is not None else f"node {finding.node_rank}"
    return f"{who}: expected {finding.expected}; found {finding.found}"


def _add(parent: ET.Element, tag: str, text: str = "", **attributes: str) -> ET.Element:
    element = ET.SubElement(parent, tag, {name: _xml(v) for name, v in attributes.items()})
    if text:
        element.text = _xml(text)
    return element


def _xml(text: str) -> str:
    r"""The text without secrets, and with what XML cannot hold as `\x1b` and the like."""
    return _NOT_XML.sub(_escaped, redacted(text))


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape", "surrogatepass").decode("ascii")


def _line(text: str) -> str:
    return text.split("\n", 1)[0]


def _time(seconds: float) -> str:
    return f"{seconds:.3f}"


def write_junit(path: Path, suite: Suite) -> None:
    """Write the file in one step. Raises FolderUnusable."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(junit_xml(suite))
        part.replace(path)
    except OSError as exc:
        part.unlink(missing_ok=True)
        raise FolderUnusable(
            f"the JUnit file {path} cannot be written: {exc.strerror}", fix="choose another place"
        ) from exc
