"""The support bundle: what is in it, what is cut or left out, and that no secret is."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import EngineUnavailable, FolderUnusable
from orchestrator.redaction import learn
from orchestrator.support.bundle import HEAD_BYTES, TAIL_BYTES, Bundle, chunks_of
from tests.unit.desk import Desk, Said, desk
from tests.unit.fake_engine import Script
from tests.unit.workbench import PLAYBOOK

__all__ = ["desk"]

OF_A_RUN = {
    "playbook.yaml", "run.json", "plan.json", "events.jsonl", "verdict.json", "machine.json",
    *(f"node-{rank}{end}" for rank in (0, 1) for end in (".log", ".json", ".records.jsonl")),
}  # fmt: skip
OF_NODES = {"nodes/networks.json", "nodes/node-0.json", "nodes/node-1.json"}


def unpacked(path: Path) -> dict[str, bytes]:
    """Every file of a bundle, which must lie in one folder, manifest first, the rest sorted."""
    with tarfile.open(path) as tar:
        members = tar.getmembers()
        found = {each.name.partition("/")[2]: tar.extractfile(each) for each in members}
        content = {name: file.read() for name, file in found.items() if file is not None}
    roots = {each.name.partition("/")[0] for each in members}
    assert (len(roots), len(content)) == (1, len(members))
    assert list(content) == ["manifest.json", *sorted(set(content) - {"manifest.json"})]
    assert path.stat().st_mode & 0o777 == 0o600
    return content


def manifest_of(content: dict[str, bytes]) -> dict[str, Any]:
    """The manifest, which must be right about every file."""
    manifest: dict[str, Any] = json.loads(content["manifest.json"])
    told = {each["name"]: (each["bytes"], each["sha256"]) for each in manifest["files"]}
    assert told == {
        name: (len(text), hashlib.sha256(text).hexdigest())
        for name, text in content.items()
        if name != "manifest.json"
    }
    return manifest


def bundle(desk: Desk, *args: str) -> tuple[Said, dict[str, bytes]]:
    said = desk.run("support-bundle", "--out", "b.tar.gz", *args)
    assert said.code == 0, said.err
    return said, unpacked(desk.folder / "b.tar.gz")


# -- what is in it ------------------------------------------------------------------


@pytest.mark.parametrize("target", [(), ("pair",), ("pair.yaml",)])
def test_everything_of_a_run_is_in_it(desk: Desk, target: tuple[str, ...]) -> None:
    desk.run("apply", "pair.yaml")
    _, content = bundle(desk, *target)
    assert set(content) == OF_A_RUN | OF_NODES | {"manifest.json"}
    manifest = manifest_of(content)
    assert (manifest["project"], manifest["left_out"]) == ("pair", [])
    desk.run("destroy", "pair")
    _, content = bundle(desk, *target)
    assert set(content) == OF_A_RUN | {"manifest.json"}
    kept = desk.folder / f".orchestrate/runs/pair/{manifest['run_id']}"
    assert {name: content[name] for name in OF_A_RUN - {"machine.json"}} == {
        path.name: path.read_bytes() for path in kept.iterdir()
    }


def test_it_says_where_it_is_and_what_is_in_it(desk: Desk) -> None:
    run_id = desk.run("apply", "--json", "pair.yaml").document["run_id"]
    desk.run("destroy", "pair")
    (desk.folder / f".orchestrate/runs/pair/{run_id}/plan.json").unlink()
    said = desk.run("support-bundle", "pair")
    name = f"orchestrate-support-pair-{run_id}.tar.gz"
    lines = said.out.splitlines()
    assert lines[0] == f"{name}  ({(desk.folder / name).stat().st_size} bytes)"
    assert [line.split()[0] for line in lines[1:-1]] == sorted(OF_A_RUN - {"plan.json"})
    assert lines[-1] == "  left out: plan.json: it is not in the folder of the run"
    told = desk.run("support-bundle", "--json", "pair").document
    assert told["path"] == str(desk.folder / name)
    assert told["left_out"] == [{"name": "plan.json", "why": "it is not in the folder of the run"}]


def test_without_an_engine_it_has_what_was_kept(desk: Desk) -> None:
    desk.run("apply", "pair.yaml")
    for call in ("observe", "observe_nodes", "projects"):
        desk.engine.failures[call] = EngineUnavailable("nobody answers")
    _, content = bundle(desk, "pair")
    assert set(content) == OF_A_RUN | {"manifest.json"}
    assert manifest_of(content)["left_out"] == [{"name": "nodes", "why": "nobody answers"}]


def test_a_run_that_goes_on_has_its_log_from_the_engine(desk: Desk) -> None:
    desk.engine.scripts = {rank: Script(((0.0, f"hello from {rank}"),)) for rank in (0, 1)}
    desk.run("apply", "--detach", "pair.yaml")
    _, content = bundle(desk, "pair.yaml")
    assert content["node-1.log"] == b"hello from 1\n"
    assert manifest_of(content)["left_out"] == []
    assert "checks" not in json.loads(content["verdict.json"])


def test_before_the_first_run_it_has_the_playbook(desk: Desk) -> None:
    _, content = bundle(desk, "pair.yaml")
    assert set(content) == {"manifest.json", "machine.json", "playbook.yaml"}


def test_a_playbook_with_faults_is_no_obstacle(desk: Desk) -> None:
    desk.run("apply", "pair.yaml")
    desk.write(PLAYBOOK + "nope: 1\n")
    _, content = bundle(desk, "pair.yaml")
    left_out = manifest_of(content)["left_out"]
    assert [each["name"] for each in left_out] == ["playbook as it is now"]
    assert "nope" in left_out[0]["why"]


def test_an_older_run_is_named(desk: Desk) -> None:
    first = desk.run("apply", "--json", "pair.yaml").document["run_id"]
    desk.run("apply", "--rerun", "pair.yaml")
    _, content = bundle(desk, "--run", first, "pair.yaml")
    assert manifest_of(content)["run_id"] == first
    assert not set(content) & OF_NODES
    assert [each["name"] for each in manifest_of(content)["left_out"]] == ["nodes"]


def test_a_run_that_got_as_far_as_no_node_is_what_it_is_about(desk: Desk) -> None:
    desk.run("apply", "pair.yaml")
    desk.write(PLAYBOOK.replace("train.py", "other.py"))
    desk.engine.failures["start_nodes"] = EngineUnavailable("out of breath")
    assert desk.run("apply", "pair.yaml").code == 4
    _, content = bundle(desk, "pair.yaml")
    assert b"other.py" in content["run.json"]
    assert json.loads(content["verdict.json"])["apply"]["error"] == "out of breath"


@pytest.mark.parametrize("target", ["other", "./none.yaml", "--run=x pair"])
def test_nothing_to_pack_is_an_error(desk: Desk, target: str) -> None:
    said = desk.run("support-bundle", "--out", "b.tar.gz", *target.split())
    assert said.code in {3, 9}
    assert not (desk.folder / "b.tar.gz").exists()


def test_nothing_that_is_not_ours_is_packed(desk: Desk) -> None:
    run_id = desk.run("apply", "--json", "pair.yaml").document["run_id"]
    desk.run("destroy", "pair")
    folder = desk.folder / f".orchestrate/runs/pair/{run_id}"
    (desk.folder / "private").write_text("not ours")
    (folder / "id_rsa").write_text("not ours")
    (folder / "node-1.log").unlink()
    (folder / "node-1.log").symlink_to(desk.folder / "private")
    (folder / "plan.json").unlink()
    os.mkfifo(folder / "plan.json")
    _, content = bundle(desk, "pair")
    assert b"not ours" not in b"".join(content.values())
    assert "id_rsa" not in content
    left_out = [each["name"] for each in manifest_of(content)["left_out"]]
    assert left_out == ["node-1.log", "plan.json"]


def test_a_place_that_cannot_be_written(desk: Desk) -> None:
    said = desk.run("support-bundle", "--out", "no/such.tar.gz", "pair.yaml")
    assert (said.code, "no/such.tar.gz cannot be written" in said.err) == (13, True)


# -- bounds -------------------------------------------------------------------------


def test_a_large_file_keeps_its_head_and_its_tail(tmp_path: Path) -> None:
    made = Bundle(tmp_path, {})
    lines = (b"%09d\n" % number for number in range(1_000_000))
    made.add("node-0.log", lines)
    packed = made.packed["node-0.log"]
    text = (tmp_path / packed.sha256).read_bytes()
    cut = 10_000_000 - HEAD_BYTES - TAIL_BYTES
    mark = b"\n[... %d bytes left out ...]\n" % cut
    head, _, tail = text.partition(mark)
    assert (len(head), len(tail)) == (HEAD_BYTES, TAIL_BYTES)
    assert (head[:10], tail[-10:]) == (b"000000000\n", b"000999999\n")
    assert (packed.num_bytes, packed.of_bytes) == (len(text), 10_000_000)


@pytest.mark.parametrize("size", [0, 1, HEAD_BYTES, HEAD_BYTES + 1, HEAD_BYTES + TAIL_BYTES])
def test_what_fits_is_whole(tmp_path: Path, size: int) -> None:
    made = Bundle(tmp_path, {})
    made.add("x", [b"a" * size])
    assert (made.packed["x"].num_bytes, made.packed["x"].of_bytes) == (size, None)
    assert (tmp_path / made.packed["x"].sha256).read_bytes() == b"a" * size


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    written = []
    for name, order in (("one", ("a", "b")), ("two", ("b", "a"))):
        (tmp_path / name).mkdir()
        made = Bundle(tmp_path / name, {"project": "pair"})
        for each in order:
            made.add(each, [b"same"])
        made.write(tmp_path / name / "b.tar.gz")
        written.append((tmp_path / name / "b.tar.gz").read_bytes())
    assert written[0] == written[1]


def test_a_bundle_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(FolderUnusable):
        Bundle(tmp_path, {}).write(tmp_path / "no" / "b.tar.gz")
    assert list(tmp_path.iterdir()) == []


def test_a_secret_across_a_cut_of_the_reader_is_hidden(tmp_path: Path) -> None:
    learn([b"canary-5711"])
    path = tmp_path / "log"
    path.write_bytes(b"x" * (256 * 1024 - 4) + b"canary-5711\n")
    made = Bundle(tmp_path, {})
    made.add("log", chunks_of(path))
    assert b"canary" not in (tmp_path / made.packed["log"].sha256).read_bytes()


# -- secrets ------------------------------------------------------------------------

SECRETS = {"key": "canary-by-secret", "variable": "canary-by-file", "env": "canary-by-env"}
HIDING = PLAYBOOK.replace(
    "train.py]",
    'train.py, "{{ token }}"], env_file: [some.env], secrets: [{name: key, file: ./key}]',
).replace("image:", "vars: {token: \"{{ env('TOKEN') }}\"}\nimage:")


@pytest.fixture
def talkative(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A desk whose nodes tell all that they know, in every way."""
    monkeypatch.setenv("TOKEN", SECRETS["env"])
    (desk.folder / "some.env").write_text(f"FROM_FILE={SECRETS['variable']}\n")
    (desk.folder / "key").write_text(SECRETS["key"])
    desk.write(HIDING)
    told = "; ".join(SECRETS.values())
    record = {"event": "rank_failed", "rank": 1, "run_id": "$RUN_ID", "reason": told}
    coded = [base64.b64encode(f"{pad}{told}".encode()).decode() for pad in ("", "a", "ab")]
    lines = (told, json.dumps(record), *coded, told)
    desk.engine.scripts[1] = Script(tuple((0.0, line) for line in lines), 0.0, code=3)
    assert desk.run("apply", "--json", "pair.yaml").code == 1
    return desk


def canaries_in(content: dict[str, bytes]) -> list[str]:
    """The files that hold a value, as it is or in base64, at any of its three places."""
    coded = [base64.b64encode(bytes(pad) + b"canary-by-").decode()[4:12] for pad in range(3)]
    wanted = [b"canary", *(each.encode() for each in coded)]
    return [name for name, text in content.items() if any(each in text for each in wanted)]


def test_the_test_sees_a_canary() -> None:
    texts = [b"a canary", *(base64.b64encode(b"x" * pad + b"canary-by-env") for pad in range(3))]
    assert [canaries_in({"x": text}) for text in texts] == [["x"]] * 4


@pytest.mark.parametrize("gone", [False, True])
def test_no_secret_is_in_any_byte_of_it(talkative: Desk, gone: bool) -> None:
    if gone:
        talkative.run("destroy", "pair")
    said, content = bundle(talkative, "pair.yaml")
    assert content["node-1.log"].count(b"***") >= 9
    assert canaries_in(content | {"screen": (said.out + said.err).encode()}) == []


def test_where_a_secret_is_not_known_the_log_stays_out(
    talkative: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    talkative.run("destroy", "pair")
    for name in ("key", "some.env"):
        (talkative.folder / name).unlink()
    from orchestrator import redaction

    monkeypatch.setattr(redaction, "_known", set())  # as in another process
    _, content = bundle(talkative, "pair")
    assert canaries_in(content) == []
    why = "it may hold the values of FROM_FILE, key, which cannot be read here and so not be hidden"
    quoting = ("events.jsonl", "verdict.json", "node-0.records.jsonl", "node-1.records.jsonl")
    assert {each["name"]: each["why"] for each in manifest_of(content)["left_out"]} == (
        dict.fromkeys(("node-0.log", "node-1.log", *quoting), why)
    )


def test_where_nobody_can_tell_which_secrets_there_were_the_log_stays_out(talkative: Desk) -> None:
    run_id = next((talkative.folder / ".orchestrate/runs/pair").iterdir()).name
    talkative.run("destroy", "pair")
    (talkative.folder / f".orchestrate/runs/pair/{run_id}/run.json").write_text("{")
    _, content = bundle(talkative, "pair")
    assert canaries_in(content) == []
    assert not {"node-0.log", "node-1.log", "verdict.json"} & set(content)
