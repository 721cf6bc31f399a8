"""The browser of this machine, driven by Playwright, which brings none of its own here."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

NAMES = (os.environ.get("ORCHESTRATE_CHROMIUM", "chromium"), "chromium-browser", "google-chrome")
DEADLINE_MS = 60_000
"""For whatever a page is waited for: a busy machine takes its time."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless Chromium; without one whoever asks fails."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    assert path is not None, "the tests need Chromium: run docker/chromium.sh"
    with sync_playwright() as playwright:
        # Containers of CI forbid the sandbox's namespaces, and have a small /dev/shm.
        arguments = ["--no-sandbox", "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(
            executable_path=path, args=arguments, timeout=DEADLINE_MS
        )
        try:
            yield browser
        finally:
            browser.close()
