"""The start of a playbook that is complete: what follows it is what a test is about."""

from __future__ import annotations

from collections.abc import Callable

FaultsOf = Callable[[str], list[str]]
"""What the fixture `faults_of` gives."""

HEAD = """\
version: 1
name: x
image: {tag: app}
ranks:
  nodes: 2
  command: [python]
"""
