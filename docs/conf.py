"""The site that `make site` builds of this folder; offline, and a warning is an error."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from pygments.lexers.special import TextLexer

from orchestrator import __version__
from orchestrator.cli import app as verbs
from orchestrator.commands.page import write_page

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "orchestrate"
version = release = __version__
extensions = ["myst_parser"]
exclude_patterns = ["_site"]
html_theme = "furo"
html_title = f"orchestrate {release}"
html_copy_source = False
# Anchors as GitHub makes them, so that a link to a heading works in both places.
myst_heading_anchors = 4
nitpicky = True

# Made of the verbs each time, and kept nowhere: it cannot be out of date.
write_page(verbs, Path(__file__).parent)


_OUT_OF_DOCS = re.compile(r"\[([^\]]+)\]\(\.\./[^)]*\)")


def leave_words(_app: Sphinx, _page: str, source: list[str]) -> None:
    """Leave the words of links to files of the checkout, which the site does not have."""
    source[0] = _OUT_OF_DOCS.sub(r"\1", source[0])


def setup(app: Sphinx) -> None:
    """Show diagrams as the text they are: what draws them would be loaded from a network."""
    app.add_lexer("mermaid", TextLexer)
    app.connect("source-read", leave_words)
