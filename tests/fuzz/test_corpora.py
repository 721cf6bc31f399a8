"""The public corpora: what is invalid is refused, what is valid means what it should."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from orchestrator.records import parse_record
from tests.corpora import json_cases, naughty_strings, yaml_cases
from tests.fuzz.counts import Count, counts
from tests.fuzz.readings import Refused, read, same
from tests.fuzz.verdicts import JSON_READ, JSON_REFUSED, YAML_READ, YAML_REFUSED
from tests.reliability.record import RecordCase, record_inputs


def _named(groups: Mapping[str, str]) -> list[str]:
    return sorted(name for names in groups.values() for name in names.split())


def _refused(cases: Mapping[str, object]) -> list[str]:
    return sorted(name for name, value in cases.items() if isinstance(value, Refused))


def test_yaml_that_is_valid_means_what_the_suite_says() -> None:
    valid = {case.name: case for case in yaml_cases() if not case.fails}
    found = {name: read(case.text) for name, case in valid.items()}

    assert _refused(found) == _named(YAML_REFUSED)
    read_cases = found.keys() - set(_named(YAML_REFUSED))
    assert len(read_cases) == 184
    assert {
        name: (found[name], valid[name].documents)
        for name in read_cases
        if not same((found[name],), valid[name].documents)
    } == {}


def test_yaml_that_is_invalid_is_refused() -> None:
    found = {case.name: read(case.text) for case in yaml_cases() if case.fails}

    assert {name: it for name, it in found.items() if not isinstance(it, Refused)} == YAML_READ
    assert len(_refused(found)) == 87


def test_json_is_yaml() -> None:
    valid = {case.name: case.text for case in json_cases() if case.name.startswith(("y_", "i_"))}
    # Of what JSON leaves open, Python refuses some as well.
    meant = {name: _by_python(text) for name, text in valid.items()}
    found = {name: read(text) for name, text in valid.items()}

    assert _refused(found) == _named(JSON_REFUSED)
    assert {
        name: (found[name], meant[name])
        for name in valid.keys() - set(_refused(found))
        if not same(found[name], meant[name])
    } == {}


def _by_python(text: str) -> object:
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError) as exc:
        return Refused(str(exc))
    return value


def test_what_is_no_json_is_refused_or_is_yaml_of_its_own() -> None:
    found = {case.name: read(case.text) for case in json_cases() if case.name.startswith("n_")}

    assert {name: it for name, it in found.items() if not isinstance(it, Refused)} == JSON_READ
    assert len(_refused(found)) == 97


@pytest.mark.parametrize("start", ["", '{"event": "step", "rank": 0, "step": 1, "x": '])
def test_no_json_and_no_naughty_string_as_a_log_line_is_a_record(start: str) -> None:
    texts = [case.text for case in json_cases()] + naughty_strings()
    end = "}" if start else ""

    found = [parse_record(f"{start}{text}{end}".encode("utf-8", "surrogatepass")) for text in texts]

    read_by_python = [not isinstance(_by_python(f"{start}{text}{end}"), Refused) for text in texts]
    refused_only = [had is None or ok for had, ok in zip(found, read_by_python, strict=True)]
    assert all(refused_only)
    assert any(found) is bool(start)


def test_nothing_escapes_from_any_corpus(record_case: RecordCase) -> None:
    found = counts()
    assert found == {
        "YAML test suite, as playbooks": Count(402, 211, 191, 0),
        "JSON test suite, as playbooks": Count(318, 134, 184, 0),
        "naughty strings, as a name": Count(485, 92, 393, 0),
        "JSON suite and naughty strings, as log lines": Count(803, 803, 0, 0),
    }
    for corpus, count in found.items():
        record_inputs(record_case, corpus, refused=count.refused, read=count.accepted)
