"""Templates: what is one, what each expression gives, and what hostile ones get."""

from __future__ import annotations

import time

import pytest

from orchestrator.playbook.expressions import compile_expression
from orchestrator.playbook.template import Expression, TemplateError, has_template, split

VARIABLES: dict[str, object] = {
    "n": 2,
    "s": "text",
    "l": [1, 2, 3],
    "d": {"key": 1, "items": "mine"},
    "big": list(range(10_000)),
    "gone": TemplateError("gone is not defined", "add it", absent=True),
}


def error_of(source: str) -> tuple[str, str]:
    with pytest.raises(TemplateError) as error:
        compile_expression(source).evaluate(VARIABLES)
    return error.value.what, error.value.fix


def expression(source: str) -> Expression:
    return Expression(source, f"{{{{ {source} }}}}")


# -- what is a template ----------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{{",
        "}}",
        "{{}}",
        "{{ }}",
        "{{.Name}}",
        "{{ .Server.Version }}",
        'f"{{}}"',
        "{{/if}}",
        "${#array[@]}",
        "{#",
        "{%",
        "%{http_code}",
        "date '+{%Y}'",
        '{"a":{"b":{}}}',
        "{{é}}x"[:1],
    ],
)
def test_other_braces_are_text(text: str) -> None:
    assert not has_template(text)
    assert split(text) == ((text,) if text else ())


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("{{ n }}", (expression("n"),)),
        ("a{{ n }}b", ("a", expression("n"), "b")),
        ("{{ n }}{{ s }}", (expression("n"), expression("s"))),
        ("{{ {'a': {'b': 1}}.a.b }}x", (expression("{'a': {'b': 1}}.a.b"), "x")),
        ("{{ '}}' }}", (expression("'}}'"),)),
        ("{{ '{{ n }}' }}", (expression("'{{ n }}'"),)),
        ('{{ "a\\"}}" }}', (expression('"a\\"}}"'),)),
        ("{{.Go}}{{ n }}", ("{{.Go}}", expression("n"))),
        ("{{\nn\n}}", (Expression("n", "{{\nn\n}}"),)),
    ],
)
def test_a_text_is_split_at_its_templates(text: str, parts: tuple[object, ...]) -> None:
    assert has_template(text)
    assert split(text) == parts


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("a {{ n", "'{{ n' has no }}"),
        ("{{ n }", "'{{ n }' has no }}"),
        ("{{ " + "n" * 2_000 + " }}", "a template of more than 1000 characters, or without its }}"),
        ("{% if n %}", "statements ({% … %}) are not supported, expressions ({{ … }}) alone"),
        ("{%- endfor %}", "statements ({% … %}) are not supported, expressions ({{ … }}) alone"),
        ("{% raw %}", "statements ({% … %}) are not supported, expressions ({{ … }}) alone"),
    ],
)
def test_a_template_that_cannot_be_read(text: str, what: str) -> None:
    assert has_template(text)
    with pytest.raises(TemplateError) as error:
        split(text)
    assert error.value.what == what


# -- what it gives ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("n", 2),
        ("n + 1", 3),
        ("n / 4", 0.5),
        ("7 // n * 3 - -1", 10),
        ("2 ** 10 % 7", 2),
        ("n ~ s", "2text"),
        ("s + '!'", "text!"),
        ("'ab' * 3", "ababab"),
        ("[n] * 2", [2, 2]),
        ("d.key", 1),
        ("d['key']", 1),
        ("d.items", "mine"),
        ("l[0]", 1),
        ("l[1:]", [2, 3]),
        ("l[-1]", 3),
        ("s[0]", "t"),
        ("n if n > 1 else gone", 2),
        ("gone is defined", False),
        ("gone | default(5)", 5),
        ("d.nothing | d('x')", "x"),
        ("n in l and 'key' in d", True),
        ("not n == 2", False),
        ("{'a': n}", {"a": 2}),
        ("(n, s)", (2, "text")),
        ("range(3) | list", [0, 1, 2]),
        ("range(3, 1, -1) | list", [3, 2]),
        ("range(0) | list", []),
        ("l | reverse", [3, 2, 1]),
        ("l | join('-')", "1-2-3"),
        ("[true, 1.5, 'a'] | join(' ')", "true 1.5 a"),
        ("(l | sum) + (l | max) + (l | length)", 12),
        ("[3, 1, 3] | unique | sort", [1, 3]),
        ("s | upper | replace('T', 'x')", "xEXx"),
        ("' a ' | trim | title", "A"),
        ("'12' | int + 1", 13),
        ("'four' | int(4)", 4),
        ("'1.5' | float", 1.5),
        ("1.26 | round(1)", 1.3),
        ("true | string", "true"),
        ("d | tojson", '{"key": 1, "items": "mine"}'),
        ("'<é>' | tojson", '"<é>"'),
        ("none", None),
        ("n is even and n is divisibleby(2)", True),
    ],
)
def test_an_expression_has_its_value(source: str, value: object) -> None:
    found = compile_expression(source).evaluate(VARIABLES)
    assert (found, type(found)) == (value, type(value))


def test_an_expression_tells_which_variables_it_reads() -> None:
    assert compile_expression("n + (d.key if s else env('X')) + range(l)").names == set("nsdl")


@pytest.mark.parametrize(
    ("source", "what", "fix"),
    [
        ("gone", "gone is not defined", "add it"),
        ("gone + 1", "gone is not defined", "add it"),
        ("gone.x", "gone is not defined", "add it"),
        ("[1, gone]", "gone is not defined", "add it"),
        ("gone | int", "gone is not defined", "add it"),
        ("d.kye", "the mapping has no key 'kye'", "did you mean key?"),
        ("l[3]", "there is no item 3: the length is 3, counted from 0", ""),
        ("n.real", "'real' cannot be had of what is no mapping", None),
        (
            "n +",
            "not an expression: unexpected }}",
            "write {{ '{{' }} where two braces are meant as text",
        ),
        ("n m", "not an expression: expected token }}, got 'm'", None),
        ("'a", "not an expression: unexpected char", None),
        ("s | uper", "there is no filter 'uper'", "did you mean upper?"),
        ("s is evn", "there is no test 'evn'", "did you mean even?"),
        ("s.upper()", "only env(…) and range(…) can be called", "use a filter: {{ x | upper }}"),
        ("1 / 0", "divides by zero", ""),
        ("s + 1", "cannot be evaluated: can only concatenate str", None),
        ("'four' | int", "'four' is not a whole number", ""),
        ("[] | first", "cannot be evaluated: No first item, sequence was empty", None),
        ("[l] | join", "a list cannot stand in the middle of text", None),
    ],
)
def test_an_expression_without_a_value_says_why(source: str, what: str, fix: str | None) -> None:
    said = error_of(source)
    assert said[0].startswith(what)
    assert fix is None or said[1].startswith(fix)


# -- what is hostile -------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        "''.__class__.__mro__",
        "''['__class__']",
        "d.__class__",
        "d['__class__']",
        "l.__len__",
        "s.format",
        "'{0.__class__}'.format(n)",
        "s | attr('upper')",
        "s | format(n)",
        "'%1000000000d' % 1",
        "l | map('upper')",
        "cycler",
        "cycler('a')",
        "lipsum()",
        "namespace(a=1)",
        "joiner()",
        "dict(a=1)",
        "self",
        "self._TemplateReference__context",
        "env.__globals__",
        "range.__self__",
        "caller()",
        "super()",
        "loop.index",
        "(1).__class__",
        "range",
        "d.items()",
        "l.append(1)",
        "_",
        "n}}{{n",
        "n }}{% set x = 1 %}{{ n",
        "\x00",
    ],
)
def test_nothing_of_python_is_reached(source: str) -> None:
    error_of(source)


@pytest.mark.parametrize(
    "source",
    [
        "'x' * 10 ** 9",
        "10 ** 9 * 'x'",
        "2 ** (10 ** 9)",
        "2.0 ** (10 ** 9)",
        "-2 ** (10 ** 9)",
        "10 ** 41",
        "10 ** 20 * 10 ** 30",
        "1e308 * 10",
        "(0 - 8) ** 0.5",
        "range(10 ** 9) | list",
        "range(10 ** 100)",
        "range(0, 10 ** 18, 10 ** 3) | sum",
        "[[1] * 100] * 1000",
        "[0] * 10 ** 12",
        "big + big",
        "big | join('x' * 60000)",
        "('x' * 60000) | replace('x', 'x' * 60000)",
        "('x' * 60000) | replace('', 'x' * 60000)",
        "1 | round(-10 ** 9)",
        "1 | round(10 ** 9, 'floor')",
        "('9' * 60000) | int",
        "(" * 300 + "1" + ")" * 300,
        "[" * 300 + "1" + "]" * 300,
        "not " * 200 + "n",
        "-" * 900 + "1",
        "n" + ".a" * 400,
        "n" + " + n" * 200,
        "n" + " | abs" * 100,
        "1 if 1 else " * 80 + "1",
        "[big" + ", big" * 150 + "]",
    ],
    ids=lambda source: source[:30],
)
def test_nothing_takes_for_ever(source: str) -> None:
    began_s = time.process_time()
    error_of(source)
    assert time.process_time() - began_s < 1.0
