"""The `orchestrate` command, and `python -m orchestrator`."""

from __future__ import annotations

import gc


def main() -> None:
    """Run the command line and leave with its code."""
    # Before anything is imported: that makes many objects that live to the end, and looking
    # through them again and again for garbage is a tenth of the start-up.
    gc.set_threshold(200_000, 20, 100)
    from orchestrator import cli

    cli.main()


if __name__ == "__main__":
    main()
