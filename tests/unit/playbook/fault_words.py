"""Words that many faults share, and a playbook to append lines to."""

from __future__ import annotations

HEAD = """\
version: 1
name: x
image: {tag: app}
ranks:
  nodes: 2
  command: [python]
"""
NAME_FIX = "use lower-case letters, digits and -, at most 40, the first one not -"
TAG_FIX = "write it like qwen-fsdp:local"
DURATION_FIX = "write it like 60s, 5m, 1h, 500ms or 1m30s"
SIZE_FIX = "write it like 2GiB, 512MiB, 1.5GiB or a number of bytes"
KNOWN = (
    "known: gpu, health_checks, image, name, network, on_failure, ranks, rendezvous, security, "
    "version"
)
LIST_FIX = "write [first, second], or one item a line after a dash"
MAPPING_FIX = "write keys and values, each key on a line of its own"
ONE_CHECK = "write one an item, such as `- joined` or `- joined: {within: 60s}`"
LOOPBACK = "is a loopback, and every container has its own"
NAME_OF_NODE_0 = "MASTER_ADDR is set to node 0's name for you"
FOLDER_FIX = "use a folder such as /data"
VARIABLE_FIX = "use letters, digits and _, the first one no digit"
SYNTAX_FIX = "check indentation, brackets and quotes near this place"
