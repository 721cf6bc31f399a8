from __future__ import annotations

import pytest

from orchestrator.playbook.rules.loopback import is_loopback, loopbacks_in

LOOPBACKS = [
    "localhost", "LocalHost", "localhost.", "localhost.localdomain", "a.localhost", "ip6-localhost",
    "127.0.0.1", "127.255.255.254", "127.1", "0x7f000001", "2130706433", "0177.0.0.1", "0.0.0.0",
    "::1", "[::1]", "0:0:0:0:0:0:0:1", "::", "::ffff:127.0.0.1", "::1%lo", " localhost ",
]  # fmt: skip
OTHERS = [
    "", "node-0", "two-rank-node-0", "localhost2", "mylocalhost", "10.0.0.1", "128.0.0.1",
    "fe80::1", "::ffff:10.0.0.1", "[::2]", "127.0.0.1.example", "é",
]  # fmt: skip

COMMANDS = [
    (("a", "--master_addr", "localhost"), [(1, "localhost")]),
    (("a", "--master-addr=127.0.0.1"), [(1, "127.0.0.1")]),
    (("a", "--rdzv-endpoint=localhost:29500"), [(1, "localhost")]),
    (("a", "--rdzv_endpoint", "127.0.0.1:0"), [(1, "127.0.0.1")]),
    (("a", "--init_method=tcp://[::1]:23456"), [(1, "[::1]")]),
    (("a", "--dist-url", "tcp://127.0.0.1:1"), [(1, "127.0.0.1")]),
    (("sh", "-c", "export MASTER_ADDR='localhost'; x"), [(2, "localhost")]),
    (("sh", "-c", "torchrun --master-addr  localhost x"), [(2, "localhost")]),
    (("env", "MASTER_ADDR=::1", "x"), [(1, "::1")]),
    (("sh", "MASTER_ADDR=localhost a; MASTER_ADDR=127.1 b"), [(1, "localhost"), (1, "127.1")]),
    (("a", "--master-addr=node-0"), []),
    (("a", "--rdzv-endpoint=$MASTER_ADDR:29500"), []),
    (("a", "--host", "localhost"), []),
    (("localhost",), []),
    (("a", "--master-addr"), []),
    (("a", "NOT_MASTER_ADDR=localhost"), []),
]  # fmt: skip


@pytest.mark.parametrize("host", LOOPBACKS)
def test_a_loopback_is_known_in_every_spelling(host: str) -> None:
    assert is_loopback(host) is True


@pytest.mark.parametrize("host", OTHERS)
def test_other_hosts_are_no_loopback(host: str) -> None:
    assert is_loopback(host) is False


@pytest.mark.parametrize(("command", "found"), COMMANDS)
def test_loopbacks_are_found_in_commands(
    command: tuple[str, ...], found: list[tuple[int, str]]
) -> None:
    assert loopbacks_in(command) == found
