"""The page: nothing in it but text where text is meant, and nothing that it needs from outside."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import struct
from array import array
from html.parser import HTMLParser
from pathlib import Path

import pytest

from orchestrator import redaction
from orchestrator.report.packing import column
from orchestrator.report.page import SCRIPTS, STYLES, asset, report_html
from orchestrator.report.reading import read_report
from tests.unit.report.runs import MODEL, OTHER, failed_run, small_run

__all__ = ["failed_run", "small_run"]

VENDORED = {
    "LICENSE": "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
    "uPlot.iife.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    "uPlot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
}


class Page(HTMLParser):
    """What a browser makes of a page: its elements, and what each script and style holds."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.blocks: dict[str, list[str]] = {"script": [], "style": []}
        self.data = ""
        self.text = ""
        self.policy = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if ("http-equiv", "Content-Security-Policy") in attrs:
            self.policy = dict(attrs)["content"] or ""

    def handle_data(self, data: str) -> None:
        last = self.tags[-1] if self.tags else ""
        if self.cdata_elem in self.blocks:
            self.blocks[str(self.cdata_elem)].append(data)
        elif last:
            self.text += data


def test_the_page_is_whole_and_its_policy_allows_these_very_scripts(small_run: Path) -> None:
    page = Page(report_html(read_report(small_run), read_report(small_run)))
    data, *scripts = page.blocks["script"]
    assert scripts == [asset(name) for name in SCRIPTS]
    assert page.blocks["style"] == [asset(name) for name in STYLES]

    def digest(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    assert page.policy == (
        f"default-src 'none'; script-src {' '.join(map(digest, scripts))}; "
        f"style-src {' '.join(map(digest, page.blocks['style']))}; "
        "base-uri 'none'; form-action 'none'"
    )
    assert sorted(json.loads(data)) == ["lanes", "nodes", "other", "phases", "until"]
    outside = [pair for pair in page.attributes if pair[0] in {"src", "srcset", "style"}]
    links = [value for name, value in page.attributes if name == "href" and value[0] != "#"]
    assert (outside, links) == ([], [])
    assert [name for name, _ in page.attributes if name.startswith("on")] == []


def test_no_word_of_a_node_is_more_than_text(failed_run: Path, small_run: Path) -> None:
    nasty = report_html(read_report(failed_run))
    plain = Page(report_html(read_report(small_run)))
    page = Page(nasty)
    assert page.tags.count("script") == plain.tags.count("script") == 1 + len(SCRIPTS)
    assert "b" in page.tags
    assert "alert(1)" in page.text
    assert "alert(1)" in page.blocks["script"][0]
    assert "</script><script>alert(1)</script><!-- '\"& {{ 7*7 }} \\x1b[31m" in page.text
    assert not re.search(
        "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]", nasty
    )


def test_a_secret_that_is_known_is_nowhere() -> None:
    redaction.learn([b"pair-node-0"])
    page = report_html(MODEL, OTHER)
    assert "pair-node-0" not in page
    assert "***" in page


def test_the_way_into_the_group_and_the_ranks_are_tables_too(small_run: Path) -> None:
    page = Page(report_html(read_report(small_run)))
    assert page.tags.count("table") == 4
    assert page.tags.count("caption") == 0
    assert dict(page.attributes)["lang"] == "en"


@pytest.mark.parametrize("name", VENDORED)
def test_what_was_taken_from_others_is_what_they_published(name: str) -> None:
    content = asset(f"uplot/{name}").encode()
    assert hashlib.sha256(content).hexdigest() == VENDORED[name]
    assert "MIT License" in asset("uplot/LICENSE")
    assert "1.6.32" in asset("uplot/README.md")
    assert "1.6.32" in asset("report.html")


# -- columns ------------------------------------------------------------------------


def test_columns_are_as_small_as_they_can_be() -> None:
    packed = base64.b64encode(struct.pack("<2f", 0.5, -1.0)).decode()
    assert [
        column(array("I", [3, 4, 5])),
        column(array("I")),
        column(array("I", [1, 3])),
        column(array("f", [0.5, -1.0])),
        column(array("d", [float("nan")])),
        column(array("f")),
    ] == [
        {"from": 3, "n": 3},
        {"from": 0, "n": 0},
        {"u32": base64.b64encode(struct.pack("<2I", 1, 3)).decode()},
        {"f32": packed},
        None,
        None,
    ]
