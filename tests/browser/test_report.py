"""Reports in a real browser, opened from the disk: whole, quiet, and to be used without a mouse."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from benchmarks.made_run import Shape, make_run
from orchestrator.report.model import Lane, NodeView, ReportModel, Steps, Told
from orchestrator.report.page import SCRIPTS, report_html
from orchestrator.report.reading import read_report
from tests.browser.chromium import DEADLINE_MS, chromium
from tests.unit.report.runs import NASTY

pytestmark = pytest.mark.browser

MOST_BYTES = 10_000_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@dataclass
class Opened:
    """A page, and what was heard of it: whatever it asked for and whatever it complained of."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def text(self, selector: str) -> str:
        return self.page.inner_text(selector)

    def says(self) -> str:
        """What a screen reader would read out."""
        return self.page.text_content("#live") or ""


def opened(browser: Browser, path: Path, *, width: int = 1280, dark: bool = False) -> Opened:
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if dark else "light",
        reduced_motion="reduce",
    )
    context.set_default_timeout(DEADLINE_MS)
    made = Opened(context.new_page())
    made.page.on("request", lambda request: made.requests.append(request.url))
    made.page.on("console", lambda message: made.complaints.append(message.text))
    made.page.on("pageerror", lambda error: made.complaints.append(str(error)))
    made.page.goto(path.as_uri())
    made.page.wait_for_selector("html[data-drawn]")
    return made


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of four ranks of which one died, compared with one that did well."""
    folder = tmp_path_factory.mktemp("report")
    failed = Shape(num_nodes=4, num_steps=40, step_s=0.1, dies=2, words=NASTY)
    runs = [
        read_report(make_run(folder / f"run-{index}", shape))
        for index, shape in enumerate((failed, replace(failed, dies=None, num_steps=60)))
    ]
    path = folder / "report.html"
    path.write_text(report_html(runs[0], runs[1]), encoding="utf-8")
    return path


def test_it_opens_from_the_disk_asks_for_nothing_and_complains_of_nothing(
    browser: Browser, report: Path
) -> None:
    found = opened(browser, report)
    assert (found.requests, found.complaints) == ([report.as_uri()], [])
    assert found.text("h1").startswith("rank 2 (synthetic-node-2) raised RuntimeError: </script>")
    assert found.page.locator("figure.chart canvas").count() == 8
    assert found.page.locator("figure.chart[hidden]").count() == 0
    assert found.page.locator("script").count() == 1 + len(SCRIPTS)


def point_at(page: Page, down: float) -> None:
    """Put the mouse into the middle of the timeline, so far down of its lanes."""
    lanes = page.locator("#lanes .u-over")
    lanes.scroll_into_view_if_needed()
    box = lanes.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] * down)


def test_every_rank_has_a_lane_that_tells_under_the_mouse(browser: Browser, report: Path) -> None:
    page = opened(browser, report).page
    told = []
    for rank in range(4):
        point_at(page, (rank + 0.5) / 4)
        told.append(page.inner_text("#tip b"))
    assert [each.split(",")[0].split(":")[0] for each in told] == [f"rank {n}" for n in range(4)]
    page.mouse.move(2, 2)
    assert page.locator("#tip").is_hidden()


def test_the_timeline_is_walked_with_the_keyboard(browser: Browser, report: Path) -> None:
    found = opened(browser, report)
    page = found.page
    page.focus("#lanes .plot")
    heard = []
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "End", "ArrowUp", "Home"):
        page.keyboard.press(key)
        heard.append(found.says().partition(",")[0])
    assert heard == [
        "rank 0: container", "rank 0: Python starts", "rank 1: container",
        "rank 1: node ended", "rank 0: node ended", "rank 0: container",
    ]  # fmt: skip
    assert page.locator("#tip").is_visible()
    page.keyboard.press("Tab")
    assert page.locator("#tip").is_hidden()


def shown_s(page: Page) -> str:
    """The labels of the timeline's time: they are drawn, so the canvas is compared."""
    found: str = page.evaluate("document.querySelector('#lanes canvas').toDataURL()")
    return found


def test_the_zoom_goes_in_and_back(browser: Browser, report: Path) -> None:
    page = opened(browser, report).page
    whole = shown_s(page)
    page.click("[data-zoom=in]")
    page.wait_for_timeout(50)
    inner = shown_s(page)
    page.focus("#lanes .plot")
    page.keyboard.press("0")
    page.wait_for_timeout(50)
    assert inner != whole
    assert shown_s(page) == whole


def test_a_curve_reads_out_every_rank(browser: Browser, report: Path) -> None:
    found = opened(browser, report)
    found.page.focus("#loss .plot")
    found.page.keyboard.press("ArrowRight")
    heard = found.says()
    assert heard.startswith("step 1, rank 0 ")
    assert [f"rank {rank} " in heard for rank in range(5)] == [True] * 4 + [False]
    found.page.select_option("#highlight", "2")
    assert found.complaints == []


@pytest.mark.parametrize("dark", [False, True])
def test_colours_follow_the_system_until_the_button_says_otherwise(
    browser: Browser, report: Path, dark: bool
) -> None:
    page = opened(browser, report, dark=dark).page
    seen = [_is_dark(page)]
    for _ in range(3):
        page.click("#theme")
        seen.append(_is_dark(page))
    assert seen == [dark, True, False, dark]


def _is_dark(page: Page) -> bool:
    colour: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return sum(map(int, colour.removeprefix("rgb(").removesuffix(")").split(","))) < 200


@pytest.mark.parametrize("width", [360, 390, 1280])
def test_nothing_is_wider_than_the_screen(browser: Browser, report: Path, width: int) -> None:
    page = opened(browser, report, width=width).page
    assert page.evaluate("document.documentElement.scrollWidth") == width


CONTRAST = """
() => {
  const numbers = (text) => text.match(/[0-9.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, at) => sum + v * [0.2126, 0.7152, 0.0722][at], 0);
  const under = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const colour = numbers(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const faults = [];
  for (const node of document.querySelectorAll("body *")) {
    const own = [...node.childNodes].some((each) => each.nodeType === 3 && each.data.trim());
    if (!own || node.closest("script, style, svg, .sr, .top, .uplot")) continue;
    const [a, b] = [light(numbers(getComputedStyle(node).color)), light(under(node))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) faults.push(`${node.tagName}.${node.className}: ${ratio.toFixed(2)}`);
  }
  return [...new Set(faults)];
}
"""


@pytest.mark.parametrize("dark", [False, True])
def test_every_text_has_the_contrast_that_wcag_asks_for(
    browser: Browser, report: Path, dark: bool
) -> None:
    assert opened(browser, report, dark=dark).page.evaluate(CONTRAST) == []


UNNAMED = """
() => [...document.querySelectorAll("button, select, [role=group], [role=region], section, nav")]
  .filter((node) => !(node.getAttribute("aria-label") || node.getAttribute("aria-labelledby")
    || node.closest("label") || node.textContent.trim()))
  .map((node) => node.outerHTML.slice(0, 80))
"""


def test_whatever_can_be_used_has_a_name(browser: Browser, report: Path) -> None:
    page = opened(browser, report).page
    assert page.evaluate(UNNAMED) == []
    levels = page.evaluate("[...document.querySelectorAll('h1, h2, h3')].map((h) => h.tagName)")
    assert levels[0] == "H1"
    assert levels.count("H1") == 1


def test_without_javascript_all_but_the_charts_is_there(browser: Browser, report: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report.as_uri())
    assert page.inner_text("h1").startswith("rank 2 (synthetic-node-2)")
    assert page.locator(".checks li").count() == 5
    assert page.locator("noscript p").is_visible()


def large_model(num_ranks: int, num_steps: int) -> ReportModel:
    """As many steps as numbers of every kind that no packing makes smaller."""
    noise = [((step * 7919) % 1009) / 1009 for step in range(num_steps)]
    numbers = array("I", range(1, num_steps + 1))

    def lane(rank: int) -> Lane:
        times = array("f", [0.02 + 0.001 * each for each in noise])
        ends = array("d", [0.021 * step + 1e-4 * rank for step in numbers])
        busy = array("f", [0.01 + 0.002 * each * (1 + rank % 3) for each in noise])
        losses = array("f", [2 + 3 / (1 + 0.01 * step) for step in numbers])
        tokens = array("f", [512 / each for each in times])
        steps = Steps(numbers, ends, times, busy)
        return Lane(rank, rank, steps=steps, told=Told(numbers, ends, losses, tokens))

    return ReportModel(
        project="large", run_id="run-1", engine="docker", began_at_s=1_795_600_000.0,
        until_s=0.021 * num_steps + 1, holds=True, checks=(), diagnosis=None,
        lanes=tuple(map(lane, range(num_ranks))),
        nodes=tuple(NodeView(n, f"node-{n}", (n,), "ended", "good") for n in range(num_ranks)),
    )  # fmt: skip


def test_64_ranks_of_2000_steps_open_and_weigh_less_than_10_mb(
    browser: Browser, tmp_path: Path
) -> None:
    path = tmp_path / "large.html"
    path.write_text(report_html(large_model(64, 2_000)), encoding="utf-8")
    assert path.stat().st_size < MOST_BYTES
    found = opened(browser, path)
    assert found.complaints == []
    point_at(found.page, 32.5 / 64)
    assert found.text("#tip b").startswith("rank 32, step ")
