"""Evaluates expressions in Jinja's sandbox, made narrower: no methods, no attributes, bounds.

Jinja's own sandbox keeps Python's internals out of reach but lets `2 ** 10 ** 9` run for ever.
Here every operator, filter and result is bounded, an expression has no loops, and a dot
reaches keys of mappings only. Importing this module loads Jinja: only templates need it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial, wraps
from typing import Any, cast

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, UndefinedError, nodes
from jinja2.environment import TemplateExpression
from jinja2.filters import FILTERS
from jinja2.runtime import Context, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from orchestrator.playbook import template as templates
from orchestrator.playbook.fields import nearest
from orchestrator.playbook.template import ESCAPE, FUNCTIONS, RESERVED
from orchestrator.playbook.tree import printable
from orchestrator.playbook.values import MAX_CHARACTERS, MAX_VALUES, checked, text_of, too_large

_KEPT_FILTERS = (
    "abs", "capitalize", "count", "d", "default", "dictsort", "first", "items", "last", "length",
    "list", "lower", "max", "min", "reverse", "sort", "sum", "title", "trim", "unique", "upper",
)  # fmt: skip
_ALLOWED: tuple[type[nodes.Node], ...] = (
    nodes.Template, nodes.Output, nodes.Const, nodes.Name, nodes.Getattr, nodes.Getitem,
    nodes.Slice, nodes.Filter, nodes.Test, nodes.Call, nodes.Keyword, nodes.Compare,
    nodes.Operand, nodes.BinExpr, nodes.UnaryExpr, nodes.CondExpr, nodes.Concat, nodes.List,
    nodes.Tuple, nodes.Dict, nodes.Pair,
)  # fmt: skip
_MAX_DEPTH = 40
_MAX_EXPONENT = 1_000
_MAX_DIGITS = 20

# What Python and Jinja raise where values do not fit together.
_MISFITS = (
    TemplateError,
    ArithmeticError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
    RecursionError,
    MemoryError,
)


class _UsedError(UndefinedError):
    """An undefined value was used; `failure` is what to say of it."""

    def __init__(self, failure: templates.TemplateError, message: str | None = None) -> None:
        super().__init__(message or failure.what)
        self.failure = failure


class Expression:
    """One expression, checked and compiled; `names` are the variables that it reads."""

    def __init__(self, names: frozenset[str], compiled: TemplateExpression) -> None:
        self.names = names
        self._compiled = compiled

    def evaluate(self, variables: Mapping[str, object]) -> object:
        """Give its value.

        Args:
            variables: values by name; a TemplateError stands for one that cannot be had, and
                is raised where the value is used.

        Raises:
            TemplateError: it has no value, or one without measure.
        """
        given = {
            name: _undefined(value) if isinstance(value, templates.TemplateError) else value
            for name, value in variables.items()
        }
        try:
            return checked(self._compiled(given))
        except _UsedError as exc:
            raise exc.failure from exc
        except _MISFITS as exc:
            raise templates.TemplateError(_misfit(exc), "") from exc


def compile_expression(source: str) -> Expression:
    """Check and compile an expression.

    Raises:
        TemplateError: it is none, or asks for what is not allowed.
    """
    try:
        tree = _ENVIRONMENT.parse("{{ " + source + "\n}}")
        names = _check(tree)
        compiled = _ENVIRONMENT.compile_expression(source, undefined_to_none=False)
    except TemplateSyntaxError as exc:
        said = (exc.message or "it ends too early").replace("'end of print statement'", "}}")
        raise templates.TemplateError(f"not an expression: {_shown(said)}", ESCAPE) from exc
    except (RecursionError, MemoryError, SyntaxError) as exc:
        raise templates.TemplateError("nested too deeply", "build it from several vars") from exc
    return Expression(names, compiled)


def _check(tree: nodes.Node) -> frozenset[str]:
    """Let only a small part of Jinja's language pass; the names that the expression reads."""
    names = set()
    waiting = [(tree, 0)]
    while waiting:
        node, depth = waiting.pop()
        if depth > _MAX_DEPTH:
            raise templates.TemplateError("nested too deeply", "build it from several vars")
        if not isinstance(node, _ALLOWED):
            kind = type(node).__name__.lower()
            raise templates.TemplateError(f"{kind} is not allowed in a template", ESCAPE)
        _check_one(node)
        if isinstance(node, nodes.Name):
            names.add(node.name)
        waiting += [(child, depth + 1) for child in node.iter_child_nodes()]
    return frozenset(names.difference(FUNCTIONS))


def _check_one(node: nodes.Node) -> None:
    match node:
        case nodes.Filter(name=name):
            _known("filter", name, _ENVIRONMENT.filters)
        case nodes.Test(name=name):
            _known("test", name, _ENVIRONMENT.tests)
        case nodes.Name(name=name) if name in RESERVED:
            raise templates.TemplateError(f"{name} is Jinja's own word", "rename the variable")
        case nodes.Call():
            called = node.node
            if not (isinstance(called, nodes.Name) and called.name in FUNCTIONS):
                what = "only env(…) and range(…) can be called"
                raise templates.TemplateError(what, "use a filter: {{ x | upper }}")
        case _:
            pass


def _known(kind: str, name: str, known: Mapping[str, object]) -> None:
    if name not in known:
        guess = nearest(name, sorted(known))
        fix = f"did you mean {guess}?" if guess else f"known: {', '.join(sorted(known))}"
        raise templates.TemplateError(f"there is no {kind} {printable(name)}", fix)


def _misfit(exc: Exception) -> str:
    if isinstance(exc, ZeroDivisionError):
        return "divides by zero"
    return f"cannot be evaluated: {_shown(str(exc) or type(exc).__name__)}"


def _shown(message: str) -> str:
    return printable(message.rstrip("."), 200)[1:-1]


def _undefined(failure: templates.TemplateError) -> Undefined:
    return StrictUndefined(name="x", exc=cast("type[UndefinedError]", partial(_UsedError, failure)))


def _missing(holder: object, key: object) -> Undefined:
    shown = printable(str(key))
    if isinstance(holder, dict):
        guess = nearest(str(key), [name for name in holder if isinstance(name, str)])
        fix = f"did you mean {guess}?" if guess else ""
        return _undefined(
            templates.TemplateError(f"the mapping has no key {shown}", fix, absent=True)
        )
    if isinstance(holder, list | tuple | str) and isinstance(key, int):
        what = f"there is no item {key}: the length is {len(holder)}, counted from 0"
        return _undefined(templates.TemplateError(what, absent=True))
    what = f"{shown} cannot be had of what is no mapping"
    return _undefined(templates.TemplateError(what, "methods are not reached: use a filter"))


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's sandbox without attributes and methods, and with bounds on what operators do."""

    intercepted_binops = frozenset(("+", "-", "*", "/", "//", "%", "**"))

    def getattr(self, obj: Any, attribute: str) -> Any:
        """A dot reaches the keys of mappings, and nothing of Python's."""
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """An item of a list, a text or a mapping."""
        if isinstance(obj, Undefined):
            str(obj)  # it says itself what is missing
        if isinstance(obj, dict | list | tuple | str | range):
            try:
                return obj[argument]
            except (LookupError, TypeError):
                pass
        return _missing(obj, argument)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Carry an operator out, unless what it would give has no measure."""
        _bound(operator, left, right)
        return checked(super().call_binop(context, operator, left, right))


def _bound(operator: str, left: object, right: object) -> None:
    """Refuse what would take for ever, or all memory, before it begins."""
    match operator, left, right:
        case "%", str(), _:
            what, fix = "text cannot be divided", "write the text with {{ … }} in it"
            raise templates.TemplateError(what, fix)
        case "**", _, int() | float() if abs(right) > _MAX_EXPONENT:
            raise templates.TemplateError("gives a number without measure", "use a smaller one")
        case "*", str() | list() | tuple(), int():
            _bound_repetition(left, right)
        case "*", int(), str() | list() | tuple():
            _bound_repetition(right, left)
        case _:
            pass


def _bound_repetition(of: str | list[Any] | tuple[Any, ...], times: int) -> None:
    if len(of) * times > (MAX_CHARACTERS if isinstance(of, str) else MAX_VALUES):
        raise too_large()


def _range(*bounds: int) -> range:
    numbers = range(*bounds)
    # Not len(), which overflows.
    if numbers and abs((numbers[-1] - numbers[0]) // numbers.step) >= MAX_VALUES:
        raise too_large()
    return numbers


def _as_list(function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that gives a list where Jinja's gives a generator, and nothing without measure."""

    @wraps(function)  # it also carries over what Jinja wants to pass
    def bounded(*args: Any, **options: Any) -> Any:
        result = function(*args, **options)
        if isinstance(result, Undefined | str | dict) or not hasattr(result, "__iter__"):
            return result
        return list(result)

    return bounded


def _join(value: Any, separator: Any = "") -> str:
    texts = [text_of(item) for item in value]
    between = text_of(separator)
    if sum(map(len, texts)) + len(between) * len(texts) > MAX_CHARACTERS:
        raise too_large()
    return between.join(texts)


def _replace(value: Any, old: str, new: str, count: int = -1) -> str:
    text = text_of(value)
    if len(text) + text.count(old) * len(new) > MAX_CHARACTERS:
        raise too_large()
    return text.replace(old, new, count)


def _round(value: Any, precision: int = 0, method: str = "common") -> Any:
    if not -_MAX_DIGITS <= precision <= _MAX_DIGITS:
        raise templates.TemplateError(f"rounds to more than {_MAX_DIGITS} digits")
    return FILTERS["round"](value, precision, method)


_NO_DEFAULT = object()


def _number(kind: Callable[[Any], Any], noun: str) -> Callable[..., Any]:
    """Jinja's int and float, but what is no number is an error instead of 0."""

    def convert(value: Any, default: Any = _NO_DEFAULT) -> Any:
        if isinstance(value, Undefined):
            str(value)
        try:
            return kind(value)
        except (TypeError, ValueError, OverflowError) as exc:
            if default is not _NO_DEFAULT:
                return default
            what = f"{printable(str(value))} is not {noun}"
            raise templates.TemplateError(what) from exc

    return convert


def _tojson(value: Any) -> str:
    return json.dumps(checked(value), ensure_ascii=False)


def _sandbox() -> _Sandbox:
    made = _Sandbox(undefined=StrictUndefined, autoescape=False, optimized=False, cache_size=0)
    made.globals.clear()
    made.globals["range"] = _range
    made.filters = {name: _as_list(FILTERS[name]) for name in _KEPT_FILTERS} | {
        "float": _number(float, "a number"),
        "int": _number(int, "a whole number"),
        "join": _join,
        "replace": _replace,
        "round": _round,
        "string": text_of,
        "tojson": _tojson,
    }
    return made


_ENVIRONMENT = _sandbox()
