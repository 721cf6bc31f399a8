"""What the doctor found, and what was done about it, as lines for people."""

from __future__ import annotations

from orchestrator.display.console import Console
from orchestrator.doctor.finding import Finding
from orchestrator.doctor.fixing import Mended


def show_finding(console: Console, finding: Finding) -> None:
    """Print what was found, and what to do about it where something is wrong."""
    console.show_status(finding.status.value, f"{finding.id:16}  {finding.found}")
    if finding.mend:
        told = {"why": finding.why, "mend": finding.mend, "more": finding.docs}
        console.show_lines(f"    {word}: {text}" for word, text in told.items())


def show_mended(console: Console, mended: Mended) -> None:
    """Print what was done, or why it could not be."""
    if mended.error:
        console.show_status("failed", f"{mended.command}: {mended.error}")
    else:
        console.show_status("changed", mended.command)
