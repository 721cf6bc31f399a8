"""The site: built without a warning and without a network, with every page and verb in it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from orchestrator import cli
from tests.docs.blocks import PAGES, ROOT


def test_the_site_builds_offline_and_has_every_page(tmp_path: Path) -> None:
    build = (sys.executable, "-m", "sphinx", "--fail-on-warning", "--quiet", "--builder", "html")
    done = subprocess.run(
        # No proxy leads anywhere: what it would fetch fails the build.
        [
            "env",
            "http_proxy=http://127.0.0.1:9",
            "https_proxy=http://127.0.0.1:9",
            *build,
            "docs",
            tmp_path,
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    pages = {page.stem for page in PAGES} - {"README"} | {"cli"}
    assert {path.stem for path in tmp_path.glob("*.html")} == pages | {"genindex", "search"}
    loaded = re.compile(r'<(?:script|img|link|iframe)\b[^>]*(?:src|href)="(https?:)?//[^"]*')
    for path in tmp_path.glob("*.html"):
        assert loaded.search(path.read_text()) is None, path
    reference = (tmp_path / "cli.html").read_text()
    assert all(f'id="{verb}"' in reference for verb in cli.app.commands)
