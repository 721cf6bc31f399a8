"""What a built image says of itself: looking at images needs nothing else of this package."""

from __future__ import annotations

LABEL_INPUTS = "orchestrate.build_inputs"
"""The digest of what the image was built from."""
