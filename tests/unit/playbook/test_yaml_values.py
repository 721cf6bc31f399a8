"""YAML 1.1 reads many plain words as something else. What each of them is here, in one table."""

from __future__ import annotations

import pytest
import yaml

from orchestrator.playbook.reference import EXAMPLE
from orchestrator.playbook.tree import UNUSABLE, plain
from orchestrator.playbook.yaml import compose
from tests.reliability.record import RecordCase, record_inputs

# What YAML 1.1 or a careless reader takes for a boolean, a number, a date or null, and is text.
TEXT = [
    *("yes", "Yes", "YES", "no", "No", "NO", "on", "On", "ON", "off", "Off", "OFF", "y", "Y", "n"),
    *("N", "tRUE", "fALSE", "truE", "NuLL", "nULL", "none", "None", "nil", "undefined", "NaN"),
    *("nan", "inf", "Infinity", "-inf", "+inf", "-Infinity", "nan.", "1.#INF", "1.#QNAN", "NaN1"),
    *("22:22", "12:30:45", "190:20:30", "190:20:30.15", "1:1", "0:0", "-1:30", "+1:30", "1:2:3:4"),
    *("1_000", "1_0.5", "685_230", "0b1_0", "0x_FF", "1__0", "_1", "1_", "0_7", "1_000.5e+3"),
    *("0b1010", "0B11", "0b", "0o8", "0o", "0O17", "0x", "0xG", "0XFF", "-0x1F", "+0x1F", "-0o17"),
    *("2024-1-1", "20:03:20", "1-1-1", "12-31", "2024-06", "10-10", "2024-01-01-rc1"),
    *("2024-01-01T", "2024-01-01 noon", "2024-01-01T12:00", "v2024-01-01", "2024-01-01/2024-02-01"),
    *("1.2.3", "3.10.1", "1.0.0-rc1", "v1.2", "127.0.0.1", "0.0.0.0", "10.0.0.0/8", "1e", "e5"),
    *("1e+", "1.e", ".e5", "1e5e5", "1.2e3.4", "--1", "+-1", "-+1", "++1", "1+", "1-", "1 000"),
    *("1,000", "$1.00", "1/2", "1%", "50%", "1'000", "½", "²", "٣", "1٣", "Ⅷ"),
    *(".", "..", "...a", "+", "+.", "-.", "+e1", ".e", "._1", "-_", "1._5", "._", "=", "==", "<"),
    *("a<<", "~a", "a~", "~~", "nullable", "trueish", "no.", "yes!", "on:x", "off/", "no-op"),
    *("x:y", "http://a/b", "a#b", "a:b:c", ":a", "::1", "fe80::1", "localhost:29500", "C:\\x"),
    *("\\n", "$HOME", "${HOME}", "a=b", "--flag", "--a=b", "-x", "(1)", "<a>", "^", "a&b", "a*b"),
    *("a!b", "é", "日本", "😀", "NULL1", "Null.", "TRUE1", "1true", "0xdeadbeefg", "1h", "60s"),
    *("2GiB", "1.5GiB", "500ms", "5m", "1m30s", "07:30", "08h", "1E", "1E+", "0e", "0.e", "0-1"),
]  # fmt: skip

NUMBERS = {
    "0": 0, "-0": 0, "+0": 0, "1": 1, "-1": -1, "+1": 1, "42": 42, "9007199254740993": 2**53 + 1,
    "0o17": 15, "0o0": 0, "0x1F": 31, "0xff": 255, "0x0": 0, "0xDEADBEEF": 3735928559,
    "3.10": 3.1, "-3.5": -3.5, "+3.5": 3.5, ".5": 0.5, "-.5": -0.5, "+.5": 0.5, "5.": 5.0,
    "0.": 0.0,
    "1e3": 1000.0, "1E3": 1000.0, "1e+3": 1000.0, "1e-3": 0.001, "1.5e2": 150.0, ".5e1": 5.0,
    "5.e1": 50.0, "0e0": 0.0, "-1e1": -10.0, "1e308": 1e308, "1e-400": 0.0, "0.10": 0.1,
}  # fmt: skip

WORDS: dict[str, bool | None] = {
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
    "null": None, "Null": None, "NULL": None, "~": None, "": None,
}  # fmt: skip

REFUSED = {
    **dict.fromkeys(
        (
            *("2001-01-01", "2002-13-45", "2001-12-14t21:59:43.10-05:00", "2001-12-15 2:59:43.10"),
            *("2001-12-14 21:59:43.10 -5", "2001-12-15T02:59:43Z", "2024-1-1 1:00:00"),
        ),
        "a date, and a playbook has none",
    ),
    **dict.fromkeys(
        ("00", "01", "007", "0755", "0644", "-010", "+010", "08", "09", "0000001"),
        "a number with a leading zero, which YAML 1.1 reads as octal",
    ),
    **dict.fromkeys(
        (".inf", ".Inf", ".INF", "-.inf", "+.INF", ".nan", ".NaN", ".NAN", "1e309", "-1e999"),
        "not a finite number",
    ),
    **dict.fromkeys(
        ("1" * 41, "0x" + "f" * 39, "0." + "1" * 39, "9" * 5000, "1e" + "9" * 39),
        "a number of too many digits",
    ),
}


def _value(text: str) -> tuple[object, list[str]]:
    document = compose(text)
    assert document.root is not None
    data = plain(document.root)
    assert isinstance(data, dict)
    return data["a"], [complaint.what for complaint in document.complaints]


@pytest.mark.parametrize("text", TEXT)
def test_a_plain_word_is_the_text_that_it_is(text: str) -> None:
    assert _value(f"a: {text}\n") == (text, [])


@pytest.mark.parametrize(("text", "value"), NUMBERS.items())
def test_a_plain_number_is_the_number_of_yaml_1_2(text: str, value: float) -> None:
    found, complaints = _value(f"a: {text}\n")
    assert (found, type(found), complaints) == (value, type(value), [])


@pytest.mark.parametrize(("text", "value"), WORDS.items())
def test_a_core_schema_word_is_its_value(text: str, value: bool | None) -> None:
    found, complaints = _value(f"a: {text}\n")
    assert (found, type(found), complaints) == (value, type(value), [])


@pytest.mark.parametrize(("text", "reason"), REFUSED.items())
def test_a_value_that_two_yamls_read_differently_is_refused(
    text: str, reason: str, record_case: RecordCase
) -> None:
    found, complaints = _value(f"a: {text}\n")
    assert found is UNUSABLE
    assert [what.partition(" is ")[2] for what in complaints] == [reason]
    record_inputs(record_case, "values that YAML 1.1 and 1.2 read differently", refused=1)


@pytest.mark.parametrize("text", [*TEXT, *NUMBERS, *WORDS, *REFUSED])
def test_quotes_make_everything_text(text: str) -> None:
    quoted = text.replace("'", "''")
    assert _value(f"a: '{quoted}'\n") == (text, [])


@pytest.mark.parametrize("text", ["no", "on", "yes", "22:22", "1_000", "=", "y"])
def test_a_key_is_the_text_that_it_is(text: str) -> None:
    document = compose(f"{text}: 1\n")
    assert document.root is not None
    assert (plain(document.root), document.complaints) == ({text: 1}, ())


DOCUMENTS = [
    EXAMPLE,
    "a: [1, 'x', \"é\", yes, 0755, {b: c}]\nd: |\n  e\n",
    "a: &a {x: 1}\nb: [*a, *a]\nc: &c [*c]\n",
    "a: !!str 1\n<<: {b: 1}\na: 2\n? [x]\n: y\n",
    "a: 1\n---\nb: 2\n",
    "[" * 1000,
    "- " * 1000,
    "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
    + "b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]\n"
    + "c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]\n"
    + "d: [*c, *c, *c, *c, *c, *c, *c, *c, *c, *c]\n",
    "",
]


@pytest.mark.skipif(not hasattr(yaml, "CSafeLoader"), reason="PyYAML was built without libyaml")
@pytest.mark.parametrize("text", DOCUMENTS)
def test_both_parsers_read_the_same_tree(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.playbook.yaml._LOADER", yaml.CSafeLoader)
    quick = compose(text)
    monkeypatch.setattr("orchestrator.playbook.yaml._LOADER", yaml.SafeLoader)
    assert compose(text) == quick
