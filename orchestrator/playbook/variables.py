"""Variables: where each one comes from, and its value once a template asks for it.

A variable is worked out when first used, so it may refer to any other one, wherever that is
given. What comes from the command line or the environment is data: braces in it are text.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping as MappingType
from typing import TYPE_CHECKING

from msgspec import Struct, field

from orchestrator.playbook.fields import nearest
from orchestrator.playbook.template import (
    FUNCTIONS,
    Expression,
    Part,
    TemplateError,
    has_template,
    split,
)
from orchestrator.playbook.tree import Loc, Mapping, Node, Scalar, Sequence, printable
from orchestrator.playbook.values import checked, data_of, text_of, too_large

if TYPE_CHECKING:
    from orchestrator.playbook import expressions

MAX_CHAIN = 50
MAX_RENDERED = 1024**2
CPU_LIMIT_S = 5.0

_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSW|PASSPHRASE|CREDENTIAL|AUTH", re.IGNORECASE)


class Variable(Struct, frozen=True):
    """A variable as it was given.

    Attributes:
        node: its value, templates and all.
        loc: the path that faults name.
        is_data: whether templates in it are text.
    """

    node: Node
    loc: Loc
    is_data: bool = False


class Rendered(Struct, frozen=True):
    """What a template gave; `secret` where the environment's secrets went into it."""

    value: object
    secret: bool = False


class Scope(Struct):
    """All variables of a playbook, and what has become known of them.

    Attributes:
        variables: by name.
        environ: the environment that `env()` reads.
        names: the variables that templates have been seen to name.
        read: what `env()` has read, None for what was not set.
    """

    variables: MappingType[str, Variable]
    environ: MappingType[str, str]
    names: set[str] = field(default_factory=set)
    read: dict[str, str | None] = field(default_factory=dict)
    _known: dict[str, Rendered | TemplateError] = field(default_factory=dict)
    _chain: list[str] = field(default_factory=list)
    _compiled: dict[str, expressions.Expression | TemplateError] = field(default_factory=dict)
    _secret: bool = False
    _num_rendered: int = 0
    _stop_s: float = field(default_factory=lambda: time.process_time() + CPU_LIMIT_S)

    def render(self, text: str) -> Rendered:
        """Give the value of a text with templates: its type, where it is one template alone.

        Raises:
            TemplateError: it has none.
        """
        if time.process_time() > self._stop_s:
            raise TemplateError(f"templates take more than {CPU_LIMIT_S:g} s", "make them simpler")
        before, self._secret = self._secret, False
        try:
            value = self._value_of(split(text))
            return Rendered(value, self._secret)
        finally:
            self._secret = before or self._secret

    def check(self, text: str) -> None:
        """Compile the templates of a text, without giving them a value.

        Raises:
            TemplateError: one of them is no expression.
        """
        for part in split(text):
            if isinstance(part, Expression):
                self._compile(part)

    def _value_of(self, parts: tuple[Part, ...]) -> object:
        if len(parts) == 1:
            return self._count(self._part(parts[0]))
        texts = []
        for part in parts:
            value = self._part(part)
            try:
                texts.append(text_of(value))
            except TemplateError as exc:
                raise _of(exc, part) from exc
        return self._count(checked("".join(texts)))

    def _count(self, value: object) -> object:
        # Each value is bounded; without this, a thousand of them would not be.
        self._num_rendered += len(value) if isinstance(value, str | list | dict) else 1
        if self._num_rendered > MAX_RENDERED:
            raise too_large()
        return value

    def _part(self, part: Part) -> object:
        if isinstance(part, str):
            return part
        compiled = self._compile(part)
        given = {name: self._variable(name) for name in compiled.names}
        try:
            return compiled.evaluate({**given, "env": self._env})
        except TemplateError as exc:
            raise _of(exc, part) from exc

    def _compile(self, part: Expression) -> expressions.Expression:
        from orchestrator.playbook.expressions import compile_expression  # loads Jinja

        known = self._compiled.get(part.source)
        if known is None:
            try:
                known = compile_expression(part.source)
                self.names |= known.names
            except TemplateError as exc:
                known = exc
            self._compiled[part.source] = known
        if isinstance(known, TemplateError):
            raise _of(known, part)
        return known

    def _variable(self, name: str) -> object:
        """A variable's value; where it is absent an error, for whoever uses it to raise."""
        if name in self._chain:
            chain = " -> ".join([*self._chain[self._chain.index(name) :], name])
            raise TemplateError(f"variables refer to each other: {printable(chain, 200)[1:-1]}")
        if name not in self._known:
            self._known[name] = self._work_out(name)
        known = self._known[name]
        if isinstance(known, TemplateError):
            if known.absent:
                return known
            raise known
        self._secret |= known.secret
        return known.value

    def _work_out(self, name: str) -> Rendered | TemplateError:
        variable = self.variables.get(name)
        if variable is None:
            return self._unknown(name)
        if len(self._chain) >= MAX_CHAIN:
            return TemplateError(f"variables refer to each other through more than {MAX_CHAIN}")
        before, self._secret = self._secret, False
        self._chain.append(name)
        try:
            value = self._filled(variable.node, variable)
            return Rendered(checked(value), self._secret)
        except TemplateError as exc:
            return exc
        finally:
            self._chain.pop()
            self._secret = before

    def _filled(self, node: Node, variable: Variable) -> object:
        """The value of a variable's node, the templates in it worked out."""
        match node:
            case Scalar(value=str() as text) if not variable.is_data and has_template(text):
                try:
                    return self.render(text).value
                except TemplateError as exc:
                    if exc.mark is None:
                        exc.mark, exc.loc = node.mark, variable.loc
                    raise
            case Sequence():
                return [self._filled(item, variable) for item in node.items]
            case Mapping():
                return {key: self._filled(of.node, variable) for key, of in node.entries.items()}
            case _:
                return data_of(node)

    def _unknown(self, name: str) -> TemplateError:
        guess = nearest(name, [*self.variables, *FUNCTIONS])
        shown = printable(name)[1:-1]
        if guess in FUNCTIONS:
            return TemplateError(
                f"{shown} is not defined", f"did you mean {guess}(…)?", absent=True
            )
        fix = f"did you mean {guess}?" if guess else f"add it to vars, or give -e {shown}=…"
        return TemplateError(f"{shown} is not defined", fix, absent=True)

    def _env(self, name: object, default: object = None) -> object:
        """What templates call `env`: a variable of the environment, as text."""
        if not isinstance(name, str):
            raise TemplateError("env() takes the name of a variable", "write env('NAME')")
        found = self.environ.get(name)
        self.read[name] = found
        self._secret |= bool(_SECRET.search(name))
        if found is not None:
            return checked(found)
        if default is None:
            shown = printable(name)[1:-1]
            what = f"{shown} is not set in the environment"
            raise TemplateError(what, f"export it, or give a default: env('{shown}', '…')")
        return default


def _of(error: TemplateError, part: Part) -> TemplateError:
    """The same error at the template that it came from; an error elsewhere stays there."""
    if error.mark is not None or error.template or isinstance(part, str):
        return error
    made = TemplateError(error.what, error.fix, part.template, absent=error.absent)
    made.__cause__ = error.__cause__
    return made
