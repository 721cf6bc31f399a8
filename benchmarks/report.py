"""What a report of 64 ranks and 2,000 steps weighs, and how long it takes to make and to open.

python -m benchmarks.report --out docs/report.md
"""

from __future__ import annotations

import argparse
import re
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser

from benchmarks.made_run import Shape, make_run
from orchestrator.report.page import report_html
from orchestrator.report.reading import read_report
from tests.browser.chromium import DEADLINE_MS, chromium

SHAPE = Shape(num_nodes=64, num_steps=2_000)
ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds, but for the weight. Of opening it is the median of `ROUNDS`."""

    num_bytes: int
    made_s: float
    opened_s: float
    phone_s: float


def measure() -> Measured:
    """Make the run, its report, and open that."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = make_run(Path(scratch) / "run", SHAPE)
        path = Path(scratch) / "report.html"
        began_s = time.perf_counter()
        path.write_text(report_html(read_report(folder)), encoding="utf-8")
        made_s = time.perf_counter() - began_s
        with chromium() as browser:
            desk, phone = (
                statistics.median(_opened_s(browser, path, width) for _ in range(ROUNDS))
                for width in (1280, 390)
            )
        return Measured(path.stat().st_size, made_s, desk, phone)


def _opened_s(browser: Browser, path: Path, width: int) -> float:
    """From asking for the page until every chart is drawn and on the screen."""
    context = browser.new_context(viewport={"width": width, "height": 900})
    context.set_default_timeout(DEADLINE_MS)
    page = context.new_page()
    began_s = time.perf_counter()
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-drawn]")
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
    took_s = time.perf_counter() - began_s
    context.close()
    return took_s


def table(measured: Measured) -> str:
    """The rows of the document's table."""
    return (
        f"| the file | {measured.num_bytes / 1e6:.1f} MB |\n"
        f"| making it from the kept run | {measured.made_s:.1f} s |\n"
        f"| opening it, until all is drawn | {measured.opened_s:.1f} s |\n"
        f"| the same on a phone's width | {measured.phone_s:.1f} s |\n"
    )


def main() -> None:
    """Measure, and write it into the document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="docs/report.md")
    path: Path = parser.parse_args().out
    rows, text = table(measure()), path.read_text(encoding="utf-8")
    path.write_text(
        re.sub(r"(\| --- \| --- \|\n)\| the file .*?\n\n", rf"\1{rows}\n", text, flags=re.DOTALL)
    )
    print(rows, end="")


if __name__ == "__main__":
    main()
