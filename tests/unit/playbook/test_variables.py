"""Variables in whole playbooks: where they come from, which one wins, what they become."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from orchestrator.errors import InvalidPlaybook
from orchestrator.playbook.given import NOTHING, Given
from orchestrator.playbook.loaded import LoadedPlaybook
from orchestrator.playbook.loader import load_text
from tests.reliability.record import RecordCase, record_inputs

HEAD = """\
version: 1
name: x
image: {tag: app}
"""
SHOW = HEAD + "ranks: {nodes: 1, command: ['{{ v }}']}\n"

Load = Callable[..., LoadedPlaybook]
FaultsOf = Callable[..., list[str]]


@pytest.fixture
def load(site: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Load a text as `p.yaml`, with the variables of a command line typed in its folder."""
    monkeypatch.chdir(site)

    def loaded(text: str, *extra: str, files: tuple[str, ...] = ()) -> LoadedPlaybook:
        given = Given(tuple(map(Path, files)), extra)
        return load_text(text.encode(), name="p.yaml", folder=site, given=given)

    return loaded


@pytest.fixture
def faults(load: Load) -> FaultsOf:
    """The faults of a text; those of the playbook itself without its name."""

    def found(text: str, *extra: str, files: tuple[str, ...] = ()) -> list[str]:
        with pytest.raises(InvalidPlaybook) as error:
            load(text, *extra, files=files)
        return [str(fault).removeprefix("p.yaml:") for fault in error.value.faults]

    return found


# -- types -----------------------------------------------------------------------


def test_a_value_has_the_type_that_is_asked_for(load: Load) -> None:
    text = (
        HEAD
        + """\
vars: {n: 3, tag: 3.10, hex: 0x10, half: 0.5, on: true, cmd: [python, 1, 2.50], e: {A: 1, B: x}}
network: {internal: "{{ not on }}"}
ranks:
  nodes: "{{ n }}"
  nproc_per_node: "{{ n - 1 }}"
  command: "{{ cmd }}"
  env: {N: "{{ n }}", T: "v{{ tag }}", U: "{{ tag }}", H: "{{ hex }}", O: "{{ on }}", S: "{{ n }}x"}
  per_node: {0: {env: "{{ e }}", resources: {cpus: "{{ half }}"}}}
"""
    )
    playbook = load(text).playbook
    assert (playbook.ranks.nodes, playbook.ranks.nproc_per_node) == (3, 2)
    assert playbook.network.internal is False
    assert playbook.ranks.command == ("python", "1", "2.50")
    assert playbook.ranks.env == {
        "N": "3", "T": "v3.10", "U": "3.10", "H": "0x10", "O": "true", "S": "3x",
    }  # fmt: skip
    assert playbook.ranks.per_node[0].env == {"A": "1", "B": "x"}
    assert playbook.ranks.per_node[0].resources is not None
    assert playbook.ranks.per_node[0].resources.cpus == 0.5


def test_a_number_that_is_written_where_text_belongs_is_still_a_fault(faults: FaultsOf) -> None:
    text = HEAD + "ranks: {nodes: 1, command: [a, 1, '{{ 1 }}']}\n"
    assert faults(text) == [
        '4:32: ranks.command[1]: expected text, found the number 1; quote it: "1"'
    ]


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("v=4", "4"),
        ("v=3.10", "3.10"),
        ("v=0755", "0755"),
        ("v=.inf", ".inf"),
        ("v=true", "true"),
        ("v=", ""),
        ("v=a=b", "a=b"),
        ("v='a b'", "a b"),
        ('v="a \\"b\\""', 'a "b"'),
        ("other=1 v=2", "2"),
        ("{v: 4}", "4"),
        ('{"v": "4"}', "4"),
        ("v='{{ other }}'", "{{ other }}"),
        ("{v: '{{ other }}'}", "{{ other }}"),
    ],
)
def test_what_is_typed_is_read_as_yaml_and_never_as_a_template(
    typed: str, value: str, load: Load
) -> None:
    text = SHOW.replace("{{ v }}", "-{{ v }}") + "vars: {other: 0}\n"
    assert load(text, typed).playbook.ranks.command == (f"-{value}",)


def test_a_number_that_is_typed_is_a_number(load: Load) -> None:
    text = HEAD + "ranks: {nodes: '{{ v + 1 }}', command: [a]}\n"
    assert load(text, "v=4").playbook.ranks.nodes == 5
    assert load(text, '{"v": 0x10}').playbook.ranks.nodes == 17


# -- which one wins --------------------------------------------------------------


def test_later_ones_win_and_the_command_line_over_files(load: Load, site: Path) -> None:
    (site / "base.yaml").write_text("vars: {a: base, b: base, c: base, d: base, e: base, f: base}")
    (site / "one.yaml").write_text("{c: one, d: one, e: one}")
    (site / "two.yaml").write_text("{d: two, e: two}")
    (site / "extra.yaml").write_text("{e: extra, f: '{{ a }}-extra'}")
    text = (
        HEAD
        + "include: base.yaml\nvars: {b: own, c: own}\n"
        + "ranks: {nodes: 1, command: ['{{ [a, b, c, d, e, f] | join(\" \") }}']}\n"
    )
    given = ("@extra.yaml",)
    files = ("one.yaml", "two.yaml")
    assert load(text, *given, files=files).playbook.ranks.command == (
        "base own one two extra base-extra",
    )
    assert load(text, *given, "e=last", files=files).playbook.ranks.command == (
        "base own one two last base-extra",
    )
    assert load(text, "e=first", *given, files=files).playbook.ranks.command == (
        "base own one two extra base-extra",
    )


def test_a_mapping_from_outside_replaces_the_whole_one(load: Load, faults: FaultsOf) -> None:
    text = SHOW.replace("{{ v }}", "{{ m.a }}{{ m.b }}") + "vars: {m: {a: 1, b: 2}}\n"
    assert load(text).playbook.ranks.command == ("12",)
    assert faults(text, "{m: {a: 3}}") == ["4:39: ranks.command[0]: the mapping has no key 'b'"]


def test_variables_refer_to_each_other_in_any_order(load: Load) -> None:
    text = SHOW + "vars: {v: '{{ a }}/{{ b.c }}', a: '{{ b.c }}', b: {c: '{{ z }}'}, z: 1}\n"
    assert load(text).playbook.ranks.command == ("1/1",)
    assert load(text, "z=2").playbook.ranks.command == ("2/2",)


def test_a_variable_is_worked_out_only_when_it_is_used(load: Load) -> None:
    text = SHOW + "vars: {v: '{{ a if a is defined else 1 }}', unused: '{{ nowhere }}'}\n"
    assert load(text).playbook.ranks.command == ("1",)


# -- faults ----------------------------------------------------------------------

UNDEFINED = "4:30: ranks.command[0]: v is not defined; add it to vars, or give -e v=…"

FAULTS: dict[str, list[str]] = {
    "vars: [a]": [
        UNDEFINED,
        "5:7: vars: expected a mapping of variables; write each as name: value",
    ],
    "vars:": [
        UNDEFINED,
        "5:6: vars: expected a mapping of variables; write each as name: value",
    ],
    "vars: {1: a}": [
        UNDEFINED,
        "5:8: vars.1: '1' is not the name of a variable; use letters, digits and _, the first one "
        "no digit, and none of Jinja's own words",
    ],
    "vars: {env: a}": [
        UNDEFINED,
        "5:8: vars.env: 'env' is not the name of a variable; use letters, digits and _, the first "
        "one no digit, and none of Jinja's own words",
    ],
    "vars: {'{{ v }}': a}": [
        UNDEFINED,
        "5:8: vars['{{ v }}']: a key cannot be a template; write the key itself; templates belong "
        "in values",
    ],
    "vars: {w: 1}": [UNDEFINED],
    "vars: {vv: 1}": ["4:30: ranks.command[0]: v is not defined; did you mean vv?"],
    "vars: {v: '{{ stps }}', steps: 1}": ["5:12: vars.v: stps is not defined; did you mean steps?"],
    "vars: {v: '{{ v }}'}": ["5:11: vars.v: variables refer to each other: v -> v"],
    "vars: {v: '{{ a }}', a: '{{ b }}', b: ['{{ v }}']}": [
        "5:40: vars.b: variables refer to each other: v -> a -> b -> v"
    ],
    "vars: {v: 1, unused: '{{ 1 + }}'}": [
        "5:23: vars.unused: not an expression: unexpected }}; "
        "write {{ '{{' }} where two braces are meant as text"
    ],
    "vars: {v: [a, b]}": [
        "4:29: ranks.command[0]: expected text, found a list; write text",
    ],
    "vars: {v: 0755}": [
        "5:11: vars.v: '0755' is a number with a leading zero, which YAML 1.1 reads as octal; "
        'quote it if text is meant: "0755"',
    ],
    "vars: {v: 1}\nnetwork: {name: {{ v }}}": [
        "6:17: network.name: without quotes {{ begins a YAML mapping, not a template; "
        'quote it: "{{ v }}"'
    ],
    "vars: {v: 1}\nnetwork: {name: {{ env('A', 'b') }}}": [
        "6:17: not valid YAML: a template must stand in quotes; quote it: \"{{ env('A', 'b') }}\""
    ],
    'vars: {v: 1}\nnetwork: {name: {{ v | default("a b") }}}': [
        "6:17: network.name: without quotes {{ begins a YAML mapping, not a template; "
        "quote it: '{{ v | default(\"a b\") }}'"
    ],
    "vars: {v: 1}\nnetwork: {name: a{{ v }}}": [
        '6:18: not valid YAML: a template must stand in quotes; quote it: "{{ v }}"'
    ],
    "vars: {v: 1}\n{{ v }}: 1": [
        "6:1: a key cannot be a template; write the key itself; templates belong in values"
    ],
    "vars: {v: 1}\n'{{ v }}': 1": [
        "6:1: ['{{ v }}']: a key cannot be a template; write the key itself; templates belong in "
        "values"
    ],
    "vars: {v: 1}\nrendezvous: {timeout: '{{ v }}'}": [
        "6:23: rendezvous.timeout: the number 1 has no unit; write 1s if seconds are meant"
    ],
    "vars: {v: 1}\nnetwork: {name: '{% if v %}a{% endif %}'}": [
        "6:18: network.name: statements ({% … %}) are not supported, expressions ({{ … }}) alone; "
        "use {{ a if b else c }}, or write the values out"
    ],
}


@pytest.mark.parametrize(("text", "expected"), FAULTS.items())
def test_a_bad_variable_gets_its_fault(
    text: str, expected: list[str], faults: FaultsOf, record_case: RecordCase
) -> None:
    assert faults(f"{SHOW}{text}\n") == expected
    record_inputs(record_case, "variables, templates and includes, fault by fault", refused=1)


def test_a_template_is_pointed_at_inside_of_a_block(faults: FaultsOf) -> None:
    text = HEAD + "ranks:\n  nodes: 1\n  command:\n    - |\n      1\n      2 {{ three }}\n"
    assert faults(text) == [
        "9:9: ranks.command[0]: three is not defined; add it to vars, or give -e three=…"
    ]


def test_a_chain_without_end_is_cut(faults: FaultsOf) -> None:
    names = [f"v{number}" for number in range(60)]
    links = [f"{name}: '{{{{ {after} }}}}'" for name, after in pairwise(names)]
    text = SHOW + f"vars: {{v: '{{{{ v0 }}}}', {', '.join(links)}, v59: 1}}\n"
    assert [fault.split(": ", 2)[2] for fault in faults(text)] == [
        "variables refer to each other through more than 50"
    ]


def test_variables_that_double_each_time_are_cut(faults: FaultsOf) -> None:
    links = [f"v{number}: '{{{{ [v{number + 1}, v{number + 1}] }}}}'" for number in range(40)]
    text = SHOW + f"vars: {{v: '{{{{ v0 }}}}', {', '.join(links)}, v40: 1}}\n"
    assert [fault.split(": ", 2)[2] for fault in faults(text)] == [
        "gives more than 10,000 values or 64 KiB of text; move data into files and mount them"
    ]


def test_all_values_together_are_bounded(faults: FaultsOf) -> None:
    command = ", ".join(["'{{ v }}'"] * 100)
    text = (
        HEAD
        + f"ranks: {{nodes: 1, command: [{command}]}}\nvars: {{v: \"{{{{ 'x' * 60000 }}}}\"}}\n"
    )
    found = faults(text)
    assert found[0].endswith(
        "gives more than 10,000 values or 64 KiB of text; move data into files and mount them"
    )


# -- from outside ----------------------------------------------------------------


def test_a_slip_of_the_keyboard_is_a_fault(load: Load, faults: FaultsOf, site: Path) -> None:
    text = SHOW + "vars: {v: '{{ steps }}', steps: 1, spare: 2}\n"
    assert faults(text, "v=1 step=2") == [
        "-e:1:1: step: the playbook has no such variable; did you mean steps?"
    ]
    load(text, "spare=1")
    (site / "more.yaml").write_text("{v: 1, other: 2}")
    assert load(text, files=("more.yaml",)).playbook.ranks.command == ("1",)
    assert load(text, "@more.yaml").playbook.ranks.command == ("1",)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("v", ["-e:1:1: 'v' is not name=value"]),
        ("", ["-e:1:1: empty"]),
        ("v=1 w", ["-e:1:1: 'w' is not name=value"]),
        ("a-b=1", ["-e:1:1: a-b: 'a-b' is not the name of a variable"]),
        ("=1", ["-e:1:1: ['']: '' is not the name of a variable"]),
        ("v='a", ["-e:1:1: quotes that do not end: no closing quotation"]),
        ("[v]", ["-e:1:1: expected a mapping of variables"]),
        ("{v: 1, v: 2}", ["-e:1:8: v: the key is given twice, here and at line 1"]),
        ("{v: ", ["-e:1:5: not valid YAML: a value is missing here"]),
        ("{v: \x1b}", ["-e:1:5: character U+001B is not allowed"]),
        ("@nope.yaml", ["nope.yaml:1:1: no such file"]),
        ("@", ["@:1:1: this is a folder, not a file"]),
        ("@here", ["here:1:1: this is a folder, not a file"]),
        ("@list.yaml", ["list.yaml:1:1: expected a mapping of variables"]),
        ("@bad.yaml", ["bad.yaml:1:5: v: nope is not defined"]),
        ("\udcff=1", ["-e:1:1: byte 0xff is not UTF-8"]),
    ],
)
def test_what_is_given_badly_gets_its_fault(
    typed: str, expected: list[str], faults: FaultsOf, site: Path
) -> None:
    (site / "list.yaml").write_text("[a]")
    (site / "bad.yaml").write_text("v: '{{ nope }}'")
    text = SHOW + "vars: {v: 0, w: 1}\n"
    assert [fault.split("; ")[0] for fault in faults(text, typed)] == expected


def test_a_value_with_spaces_is_to_be_quoted_twice(faults: FaultsOf) -> None:
    assert faults(SHOW + "vars: {v: 0}\n", "v=a b") == [
        "-e:1:1: 'b' is not name=value; quote a value that holds spaces twice: -e 'name=\"a b\"'"
    ]


# -- the environment -------------------------------------------------------------


def test_the_environment_is_read_as_text(
    load: Load, faults: FaultsOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUMBER", "4")
    monkeypatch.setenv("BRACES", "{{ 1 }}")
    monkeypatch.delenv("NOWHERE", raising=False)
    text = SHOW.replace(
        "{{ v }}", "{{ env(''NUMBER'') | int + 1 }}{{ env(''BRACES'') }}{{ env(''NOWHERE'', 0) }}"
    )
    assert load(text).playbook.ranks.command == ("5{{ 1 }}0",)
    assert faults(SHOW.replace("{{ v }}", "{{ env(''NOWHERE'') }}")) == [
        "4:29: ranks.command[0]: NOWHERE is not set in the environment; "
        "export it, or give a default: env('NOWHERE', '…')"
    ]
    nodes = HEAD + "ranks: {nodes: \"{{ env('NUMBER') }}\", command: [a]}\n"
    assert faults(nodes) == [
        "4:16: ranks.nodes: expected a whole number, found the text '4'; make it one: {{ … | int }}"
    ]


def test_a_fault_does_not_quote_a_secret(faults: FaultsOf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf canary's")
    text = HEAD.replace("app", '"{{ t }}"') + (
        "ranks: {nodes: \"{{ env('HF_TOKEN') }}\", command: [a]}\n"
        "vars: {t: \"{{ env('HF_TOKEN') | upper }}\"}\n"
    )
    found = faults(text)
    assert len(found) == 2
    assert [fault for fault in found if "canary" in fault.lower()] == []


# -- the digest ------------------------------------------------------------------


def test_the_digest_covers_all_that_went_in(
    load: Load, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHO", "me")
    base, files = site / "base.yaml", site / "vars.yaml"
    base.write_text("gpu: {mode: cpu}")
    files.write_text("v: 1")
    text = SHOW + "include: base.yaml\n"
    digests = [load(text, files=("vars.yaml",)).digest]
    digests.append(load(text + "#", files=("vars.yaml",)).digest)
    digests.append(load(text, "v=2", files=("vars.yaml",)).digest)
    files.write_text("v: 2")
    digests.append(load(text, files=("vars.yaml",)).digest)
    base.write_text("gpu: {mode: cpu} ")
    digests.append(load(text, files=("vars.yaml",)).digest)
    who = SHOW.replace("{{ v }}", "{{ env(''WHO'') }}")
    digests.append(load(who).digest)
    monkeypatch.setenv("WHO", "you")
    digests.append(load(who).digest)
    assert len(set(digests)) == len(digests)
    assert load(text, files=("vars.yaml",)).digest == digests[4]
    plain = SHOW.replace("{{ v }}", "a")
    assert load(plain).digest == f"sha256:{hashlib.sha256(plain.encode()).hexdigest()}"


def test_nothing_given_is_the_default() -> None:
    assert Given() == NOTHING
