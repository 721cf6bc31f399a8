"""JUnit files: whole, valid, and well-formed whatever stands in the texts."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import xmlschema
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from orchestrator.errors import FolderUnusable
from orchestrator.redaction import learn
from orchestrator.report.junit import Suite, junit_xml, write_junit
from orchestrator.verify.results import CheckResult, Finding, Status
from tests.unit.desk import Desk, desk
from tests.unit.fake_engine import Script

__all__ = ["desk"]

SCHEMA = xmlschema.XMLSchema(Path(__file__).with_name("junit.xsd"))

RESULTS = (
    CheckResult("alive", Status.OK, "2 nodes in order"),
    CheckResult(
        "joined",
        Status.FAILED,
        "1 of 2 ranks did not join",
        (Finding(1, 1, "process_group_joined", "nothing"), Finding(1, None, "runs", "is gone")),
    ),
    CheckResult("training", Status.SKIPPED, "the group did not join"),
)
SUITE = Suite(
    "pair",
    1_700_000_000.25,
    12.3456,
    RESULTS,
    {"run_id": "run-1", "image_id": "sha256:aa", "run_dir": ""},
    "node 1 is gone",
)


def parsed(suite: Suite) -> ET.Element:
    """The file as a reader of XML finds it, after it was held against the schema."""
    content = junit_xml(suite)
    SCHEMA.validate(content.decode())
    return ET.fromstring(content)


def test_the_whole_file() -> None:
    SCHEMA.validate(junit_xml(SUITE).decode())
    assert junit_xml(SUITE).decode() == (
        "<?xml version='1.0' encoding='utf-8'?>\n"
        '<testsuites tests="3" failures="1" errors="0" time="12.346">'
        '<testsuite name="pair" timestamp="2023-11-14T22:13:20" tests="3" failures="1" errors="0"'
        ' skipped="1" time="12.346"><properties>'
        '<property name="run_id" value="run-1" /><property name="image_id" value="sha256:aa" />'
        "</properties>"
        '<testcase name="alive" classname="pair" time="0.000">'
        "<system-out>2 nodes in order</system-out></testcase>"
        '<testcase name="joined" classname="pair" time="0.000">'
        '<failure message="1 of 2 ranks did not join" type="joined">1 of 2 ranks did not join\n'
        "rank 1: expected process_group_joined; found nothing\n"
        "node 1: expected runs; found is gone</failure></testcase>"
        '<testcase name="training" classname="pair" time="0.000">'
        '<skipped message="the group did not join" /></testcase>'
        "<system-out>node 1 is gone</system-out></testsuite></testsuites>\n"
    )


def test_a_case_tells_when_its_check_was_settled() -> None:
    root = parsed(replace(SUITE, times_s={"alive": 0.1, "joined": 61.23456}))
    assert [case.attrib["time"] for case in root.iter("testcase")] == ["0.100", "61.235", "0.000"]


def test_an_error_is_a_case_of_its_own() -> None:
    root = parsed(
        Suite("pair", 0.0, 1.0, error="no engine\nat all", error_kind="engine_unavailable")
    )
    case = root.find("testsuite/testcase")
    assert case is not None
    assert [(each.tag, each.attrib, each.text) for each in case] == [
        ("error", {"message": "no engine", "type": "engine_unavailable"}, "no engine\nat all")
    ]
    assert {key: root.attrib[key] for key in ("tests", "failures", "errors")} == {
        "tests": "1", "failures": "0", "errors": "1",
    }  # fmt: skip


def test_what_xml_cannot_hold_is_spelled_out() -> None:
    hostile = "\x00\x1b[2J\x7f\x9b\ud800\ufffe</failure>&<![CDATA[ ]]>\u202e\U0001f600\r"
    results = [CheckResult("loss", Status.FAILED, hostile, (Finding(0, 0, hostile, hostile),))]
    failure = parsed(Suite(hostile, 0.0, 0.0, results, {"x": hostile}, hostile)).find(".//failure")
    assert failure is not None
    assert failure.attrib["message"] == (
        "\\x00\\x1b[2J\\x7f\\x9b\\ud800\\ufffe</failure>&<![CDATA[ ]]>\u202e\U0001f600\\r"
    )


@given(st.text(st.characters(codec=None)), st.sampled_from(list(Status)))
def test_any_text_makes_a_valid_file(text: str, status: Status) -> None:
    results = [CheckResult(text or "x", status, text, (Finding(0, None, text, text),))]
    parsed(Suite(text, 0.0, 0.0, results, {"a": text}, text, text, text))


def test_a_secret_is_hidden() -> None:
    learn([b"canary-5711"])
    text = junit_xml(Suite("pair", 0.0, 0.0, headline="it was canary-5711", error="canary-5711"))
    assert (b"canary" in text, text.count(b"***")) == (False, 3)


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(FolderUnusable, match="the JUnit file"):
        write_junit(tmp_path / "no" / "such.xml", SUITE)
    assert list(tmp_path.iterdir()) == []


# -- at the command line ------------------------------------------------------------


def cases(desk: Desk, name: str = "j.xml") -> list[tuple[str, list[str]]]:
    text = (desk.folder / name).read_text()
    SCHEMA.validate(text)
    found = ET.fromstring(text).iter("testcase")
    return [(case.attrib["name"], [each.tag for each in case]) for case in found]


def test_apply_tells_when_checks_were_settled(desk: Desk) -> None:
    desk.run("apply", "--junit", "j.xml", "pair.yaml")
    root = ET.parse(desk.folder / "j.xml").getroot()
    times = [float(case.attrib["time"]) for case in root.iter("testcase")]
    assert (len(times), times == sorted(times), times[-1] > 0.0) == (3, True, True)


def test_apply_and_verify_write_one_case_a_check(desk: Desk) -> None:
    desk.engine.scripts[1] = Script(((0.0, "gone"),), 0.0, code=3)
    assert desk.run("apply", "--junit", "j.xml", "pair.yaml").code == 1
    failed = [("alive", ["failure"]), ("joined", ["failure"]), ("completed", ["failure"])]
    assert cases(desk) == failed
    assert desk.run("verify", "--junit", "v.xml", "pair.yaml").code == 1
    assert cases(desk, "v.xml") == failed
    properties = {
        each.attrib["name"]: each.attrib["value"]
        for each in ET.parse(desk.folder / "j.xml").getroot().iter("property")
    }
    assert set(properties) == {
        "project", "engine", "run_id", "run_dir", "image_id",
        "version.orchestrate", "version.python", "version.os",
    }  # fmt: skip


@pytest.mark.parametrize("verb", ["apply", "verify"])
def test_an_error_leaves_a_file_too(desk: Desk, verb: str) -> None:
    desk.write("version: 1\nnope: 2\n")
    assert desk.run(verb, "--junit", "j.xml", "pair.yaml").code == 3
    assert cases(desk) == [(verb, ["error"])]


def test_an_engine_that_refuses_leaves_a_file_too(desk: Desk) -> None:
    from orchestrator.errors import NodeNotStarted

    desk.engine.failures["start_nodes"] = NodeNotStarted("no such user")
    assert desk.run("apply", "--junit", "j.xml", "pair.yaml").code == 7
    assert cases(desk) == [("apply", ["error"])]


def test_a_junit_file_that_cannot_be_written_is_an_error(desk: Desk) -> None:
    said = desk.run("apply", "--junit", "no/such.xml", "pair.yaml")
    assert (said.code, "the JUnit file no/such.xml cannot be written" in said.err) == (13, True)
