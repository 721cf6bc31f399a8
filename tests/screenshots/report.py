"""Pictures of a report: of a run that failed and of one that did well, on a desk and a phone."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser

from benchmarks.made_run import Shape, make_run
from orchestrator.report.page import report_html
from orchestrator.report.reading import read_report
from tests.browser.chromium import DEADLINE_MS, chromium


@dataclass(frozen=True, slots=True)
class Picture:
    """What of which page, how large, and in which colours."""

    name: str
    shape: Shape
    width: int
    height: int
    dark: bool = False
    at: str = "body"


TRAINED = Shape(project="train", num_nodes=8, num_steps=160, step_s=0.12)
FAILED = Shape(
    project="train", num_nodes=8, num_steps=160, step_s=0.12, dies=3,
    words="loss is not finite at step 80",
)  # fmt: skip
PICTURES = (
    Picture("report", FAILED, 1280, 1200),
    Picture("report-timeline", TRAINED, 1280, 900, at="#timeline"),
    Picture("report-timeline-dark", TRAINED, 1280, 900, dark=True, at="#timeline"),
    Picture("report-phone", FAILED, 390, 844),
)


def make(folder: Path) -> None:
    """Write the pictures into a folder."""
    with chromium() as browser, tempfile.TemporaryDirectory() as scratch:
        for picture in PICTURES:
            run = make_run(Path(scratch) / picture.name, picture.shape)
            page = Path(scratch) / f"{picture.name}.html"
            page.write_text(report_html(read_report(run)), encoding="utf-8")
            _take(browser, picture, page, folder / f"{picture.name}.png")


def _take(browser: Browser, picture: Picture, page_file: Path, path: Path) -> None:
    context = browser.new_context(
        viewport={"width": picture.width, "height": picture.height},
        color_scheme="dark" if picture.dark else "light",
        reduced_motion="reduce",
    )
    context.set_default_timeout(DEADLINE_MS)
    page = context.new_page()
    page.goto(page_file.as_uri())
    page.wait_for_selector("html[data-drawn]")
    page.evaluate("(name) => document.querySelector(name).scrollIntoView()", picture.at)
    page.screenshot(path=path)
    context.close()
