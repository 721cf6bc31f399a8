"""A run -> one HTML file that needs nothing but itself.

Texts are written by a template that escapes all of them; the script gets numbers and draws. A
policy inside the file lets nothing else run and nothing be loaded, so that even a text that
were not escaped could do nothing.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from orchestrator import __version__
from orchestrator.report.compare import compare
from orchestrator.report.model import ReportModel
from orchestrator.report.packing import packed, shown
from orchestrator.report.summary import (
    alike,
    amount,
    figures,
    number,
    rank_summaries,
    seconds,
    size,
)

SCRIPTS = (
    "uplot/uPlot.iife.min.js",
    "page.js",
    "charts.js",
    "curves.js",
    "timeline.js",
    "report.js",
)
"""In the order in which they run: each uses what those before it have."""

STYLES = ("uplot/uPlot.min.css", "report.css")


def report_html(model: ReportModel, other: ReportModel | None = None) -> str:
    """The whole page.

    Args:
        model: the run.
        other: a run to compare it with.
    """
    scripts, styles = [asset(name) for name in SCRIPTS], [asset(name) for name in STYLES]
    text: str = _template().render(
        model=model,
        figures=figures(model),
        ranks=rank_summaries(model),
        phases=[name for name, _ in max((lane.reached_s for lane in model.lanes), key=len)],
        comparison=None if other is None else compare(model, other),
        began=_moment(model.began_at_s),
        version=__version__,
        data=Markup(packed(model, other)),  # noqa: S704  (its `<` are escaped)
        scripts=[Markup(text) for text in scripts],  # noqa: S704  (our own)
        styles=[Markup(text) for text in styles],  # noqa: S704  (our own)
        policy=_policy(scripts, styles),
    )
    return text


def asset(name: str) -> str:
    """A file that is part of every report."""
    return (files("orchestrator.report") / "assets" / name).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(asset),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: shown(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Any] = {
        "seconds": seconds, "number": number, "amount": amount, "size": size, "alike": alike,
    }  # fmt: skip
    environment.filters |= filters
    return environment


def _template() -> Any:
    return _environment().get_template("report.html")


def _policy(scripts: list[str], styles: list[str]) -> str:
    """Of a browser's powers, only these scripts and styles."""
    return (
        f"default-src 'none'; script-src {_digests(scripts)}; style-src {_digests(styles)}; "
        "base-uri 'none'; form-action 'none'"
    )


def _digests(texts: list[str]) -> str:
    digests = (hashlib.sha256(text.encode()).digest() for text in texts)
    return " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)


def _moment(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
