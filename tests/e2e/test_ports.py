"""The checks `http` and `tcp` on real engines: asked from here, of nodes that publish nothing."""

from __future__ import annotations

import socket

from orchestrator.errors import ExitCode
from tests.e2e.conftest import Desk

PAGE = "mkdir -p /run/www && echo hello >/run/www/page && exec httpd -f -p $PORT -h /run/www"
SERVE = {
    "docker": PAGE,
    "local": "echo hello >page && exec python -m http.server --bind 127.0.0.1 $PORT",
}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def serving(desk: Desk, checks: str) -> None:
    """A node that serves a page from a while after its start, and one that sleeps."""
    script = f"[ $RANK = 0 ] || exec sleep 600; sleep 1; PORT=${{PORT:-8000}}; {SERVE[desk.engine]}"
    port = 8000 if desk.engine == "docker" else free_port()
    ranks = desk.ranks(script, f", env: {{PORT: '{port}'}}")
    asked = f"health_checks: [{checks}]".replace("PORT", str(port))
    desk.write(script, ranks=ranks, health_checks=asked)


def test_a_node_that_serves_is_asked_until_it_answers(desk: Desk) -> None:
    page = "http: {port: PORT, path: /page, node: 0, within: 2m}"
    serving(desk, f"{page}, tcp: {{port: PORT, node: 0, within: 2m}}")
    ran = desk.apply()
    assert ran.code == ExitCode.CONVERGED, ran.out + ran.err
    assert ran.out.count("/page answered by 1 node after ") == 2
    again = desk.run("verify", "--engine", desk.engine, "playbook.yaml")
    assert again.code == ExitCode.CONVERGED, again.out


def test_a_node_that_answers_otherwise_fails_the_run(desk: Desk) -> None:
    serving(desk, "http: {port: PORT, path: /nowhere, node: 0, within: 8s}")
    ran = desk.apply()
    assert ran.code == ExitCode.NOT_CONVERGED
    assert ran.line("    node 0: expected status 200 of GET").endswith("; found status 404")
    kept = desk.run("destroy", "--engine", desk.engine, desk.project)
    assert kept.code == ExitCode.CONVERGED
    judged = desk.run("verify", "--engine", desk.engine, desk.project)
    assert "found status 404" in judged.out, judged.out + judged.err
