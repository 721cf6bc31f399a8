"""What an engine says of itself, which reports are made with."""

from __future__ import annotations

from orchestrator.versions import TellsOfItself, Versioned, told_by, versions
from tests.contract.stand import DockerStand, Stand, docker


def test_an_engine_that_has_a_version_says_it(stand: Stand) -> None:
    found = versions(stand.engine)
    assert {"orchestrate", "python", "os"} <= set(found)
    is_docker = isinstance(stand, DockerStand)
    assert isinstance(stand.engine, Versioned) is is_docker
    if is_docker:
        assert found["engine"] == docker("version", "--format", "{{.Server.Version}}").strip()


def test_docker_tells_how_nodes_run_and_nothing_of_who_uses_it(stand: Stand) -> None:
    told = told_by(stand.engine)
    assert isinstance(stand.engine, TellsOfItself) is bool(told)
    if told:
        assert int(str(told["NCPU"])) >= 1
        assert {"ServerVersion", "Driver", "CgroupVersion", "MemTotal"} <= set(told)
        assert not {"Name", "ID", "HttpProxy", "RegistryConfig", "Labels"} & set(told)
