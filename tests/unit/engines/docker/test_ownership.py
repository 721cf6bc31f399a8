"""What of a Docker engine's objects is ours, what is in our way, and what is no matter."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.engines.base import Query
from orchestrator.engines.docker.ownership import Ownership, owner_of
from orchestrator.state.observed import ForeignObject, ObservedNetwork, ProjectSummary

from .test_inspect import capture

MINE = Ownership("1000")
QUERY = Query("lab", network="lab-net", node_names=("lab-node-0", "lab-node-1"))


def container(name: str, project: str | None, owner: str | None, rank: str = "0") -> dict[str, Any]:
    labels = {"orchestrate.project": project, "orchestrate.owner": owner}
    kept = {label: value for label, value in labels.items() if value is not None}
    found = capture("running")
    found["Config"]["Labels"] = kept | {"orchestrate.node_rank": rank}
    found["Config"]["Hostname"] = f"{project}-node-{rank}"
    return found | {"Id": f"id-{name}", "Name": f"/{name}"}


def network(name: str, project: str | None, owner: str | None) -> dict[str, Any]:
    labels = {"orchestrate.project": project, "orchestrate.owner": owner}
    kept = {label: value for label, value in labels.items() if value is not None}
    return {"Id": f"id-{name}", "Name": name, "Internal": True, "Labels": kept}


def test_only_what_bears_our_owner_label_is_our_node() -> None:
    found = [
        container("lab-node-0", "lab", "1000"),
        container("lab-node-1", "lab", "1001"),
        container("lab-node-2", "lab", None),
        container("other-node-0", "other", "1000"),
    ]
    assert [node.name for node in MINE.nodes(found, "lab")] == ["lab-node-0"]


def test_what_only_inherited_our_labels_is_told_of_and_not_taken_for_a_node() -> None:
    copy, node = container("copy", "lab", "1000"), container("lab-node-0", "lab", "1000")
    copy["Config"]["Hostname"] = "3f2a5c7e9d10"
    told = (ForeignObject("container", "copy", "id-copy", "lab", "1000"),)
    assert MINE.lookalikes([copy, node], QUERY) == told
    assert [each.name for each in MINE.nodes([copy, node], "lab")] == ["lab-node-0"]
    assert MINE.foreign_containers([copy, node], QUERY) == ()


IN_THE_WAY = {
    "ours": (("lab-node-0", "lab", "1000"), None),
    "another owner's": (("lab-node-0", "lab", "1001"), ("lab", "1001")),
    "another owner's of another name": (("elsewhere", "lab", "1001"), ("lab", "1001")),
    "without an owner": (("lab-node-7", "lab", None), ("lab", "")),
    "our other project's, with a name we need": (
        ("lab-node-1", "other", "1000"),
        ("other", "1000"),
    ),
    "nobody's, with a name we need": (("lab-node-1", None, None), ("", "")),
    "another project's": (("other-node-0", "other", "1001"), None),
}


@pytest.mark.parametrize("case", IN_THE_WAY)
def test_containers_in_our_way(case: str) -> None:
    (name, project, owner), expected = IN_THE_WAY[case]
    found = MINE.foreign_containers([container(name, project, owner)], QUERY)
    foreign = ForeignObject("container", name, f"id-{name}", *(expected or ()))
    assert found == ((foreign,) if expected else ())


def test_a_container_of_ours_whose_labels_were_spoiled_is_in_our_way() -> None:
    spoiled = container("lab-node-0", "lab", "1000", rank="first")
    assert MINE.nodes([spoiled], "lab") == ()
    assert [each.name for each in MINE.foreign_containers([spoiled], QUERY)] == ["lab-node-0"]


@pytest.mark.parametrize("is_external", [False, True])
def test_networks_in_our_way(is_external: bool) -> None:
    query = Query("lab", network="lab-net", network_is_external=is_external)
    found = [
        network("ours", "lab", "1000"),
        network("theirs", "lab", "1001"),
        network("lab-net", None, None),
    ]
    observed, foreign = MINE.networks(found, query)
    assert observed == (
        ObservedNetwork("id-ours", "ours", True, "lab"),
        ObservedNetwork("id-theirs", "theirs", True, None),
        ObservedNetwork("id-lab-net", "lab-net", True, None),
    )
    rival = ForeignObject("network", "theirs", "id-theirs", "lab", "1001")
    taken = ForeignObject("network", "lab-net", "id-lab-net")
    assert foreign == ((rival,) if is_external else (rival, taken))


def test_each_owners_project_is_a_project_of_its_own() -> None:
    containers = [
        container("lab-node-1", "lab", "1000"),
        container("lab-node-0", "lab", "1000"),
        container("b", "lab", "1001"),
        container("stranger", None, None),
    ]
    networks = [network("net", "alone", None), network("bridge", None, None)]
    assert MINE.summaries(containers, networks) == (
        ProjectSummary("alone", other_owner=""),
        ProjectSummary("lab", node_names=("lab-node-0", "lab-node-1")),
        ProjectSummary("lab", node_names=("b",), other_owner="1001"),
    )


@pytest.mark.parametrize(
    ("environ", "owner"),
    [({}, "1234"), ({"ORCHESTRATE_OWNER": " "}, "1234"), ({"ORCHESTRATE_OWNER": "ci"}, "ci")],
)
def test_who_the_owner_is(
    environ: dict[str, str], owner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.getuid", lambda: 1234)
    assert owner_of(environ) == owner
