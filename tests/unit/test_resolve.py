"""Playbook in, desired state out: whole values, on an engine with everything and on a bare one."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from orchestrator.engines.docker.traits import TRAITS as DOCKER
from orchestrator.engines.local.engine import TRAITS as LOCAL
from orchestrator.errors import InvalidPlaybook
from orchestrator.images.recipe import BuildRecipe
from orchestrator.playbook.loaded import LoadedPlaybook
from orchestrator.playbook.loader import load, load_text
from orchestrator.resolve import build_recipe, probe_orders, resolve
from orchestrator.state.desired import DesiredState, ImageSpec, NetworkSpec, ProbeOrders
from orchestrator.state.spec import Confinement, HealthCommand, Limits, Mount, NodeSpec
from orchestrator.state.traits import EngineTraits

HEAD = """\
version: 1
name: pair
image: {tag: app}
"""


def loaded(tmp_path: Path, text: str) -> LoadedPlaybook:
    return load_text((HEAD + text).encode(), name="pair.yaml", folder=tmp_path)


def ranks(text: str) -> str:
    return f"ranks: {{nodes: 2, command: [python, train.py], {text}}}\n"


def common_env(node_rank: int) -> dict[str, str]:
    return {
        "LOCAL_RANK": "0",
        "LOCAL_WORLD_SIZE": "1",
        "MASTER_ADDR": "two-rank-node-0",
        "MASTER_PORT": "29500",
        "NODE_RANK": str(node_rank),
        "OMP_NUM_THREADS": "1",
        "ORCHESTRATE_BACKEND": "gloo",
        "ORCHESTRATE_PROJECT": "two-rank",
        "ORCHESTRATE_RENDEZVOUS_TIMEOUT_S": "60",
        "RANK": str(node_rank),
        "WORLD_SIZE": "2",
    }


def pairs(env: dict[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(env.items()))


COMMAND = ("python", "-m", "trainer", "--max-steps", "20")


def test_two_rank_on_docker(repository: Path) -> None:
    two_rank = load(repository / "playbooks" / "two-rank.yaml")
    recipe = BuildRecipe(
        tag="qwen-fsdp:local",
        context=repository,
        dockerfile=repository / "docker" / "Dockerfile",
        requirements=repository / "docker" / "requirements.txt",
    )
    assert resolve(two_rank, DOCKER, build_inputs="v1:x", writer="7:7") == DesiredState(
        project="two-rank",
        image=ImageSpec("qwen-fsdp:local", "missing", recipe, "v1:x"),
        network=NetworkSpec("two-rank-net", internal=True, external=False),
        nodes=tuple(
            NodeSpec(
                node_rank=rank,
                num_ranks=1,
                name=f"two-rank-node-{rank}",
                command=COMMAND,
                image="qwen-fsdp:local",
                env=pairs(common_env(rank) | {"NVIDIA_VISIBLE_DEVICES": "void"}),
                mounts=(),
                limits=Limits(cpus=1.0, memory_bytes=2 * 2**30, shm_bytes=256 * 2**20, pids=512),
                user=None,
                network="two-rank-net",
                confinement=Confinement(("ALL",), True, privileged=False),
                workdir=None,
                probe=True,
            )
            for rank in range(2)
        ),
        playbook=str(repository / "playbooks" / "two-rank.yaml"),
        playbook_digest=two_rank.digest,
    )


def test_two_rank_on_the_embedded_engine(repository: Path) -> None:
    two_rank = load(repository / "playbooks" / "two-rank.yaml")
    local = {"MASTER_ADDR": "127.0.0.1", **LOCAL.node_env}
    assert resolve(two_rank, LOCAL, writer="7:7") == DesiredState(
        project="two-rank",
        image=None,
        network=None,
        nodes=tuple(
            NodeSpec(
                node_rank=rank,
                num_ranks=1,
                name=f"two-rank-node-{rank}",
                command=COMMAND,
                image=None,
                env=pairs(common_env(rank) | local),
                limits=Limits(),
                user=None,
                network=None,
                confinement=None,
                workdir=str(repository / "playbooks"),
                probe=True,
            )
            for rank in range(2)
        ),
        playbook=str(repository / "playbooks" / "two-rank.yaml"),
        playbook_digest=two_rank.digest,
    )


def test_limits_that_are_left_out(tmp_path: Path) -> None:
    state = resolve(loaded(tmp_path, ranks("")), DOCKER)
    limits = Limits(cpus=None, memory_bytes=None, shm_bytes=2**30, pids=4096)
    assert [node.limits for node in state.nodes] == [limits, limits]


def test_what_differs_for_one_node(tmp_path: Path) -> None:
    text = ranks(
        "env: {A: all, B: all}, resources: {cpus: 1.0, memory: 1GiB, pids: 99}, "
        "per_node: {1: {env: {A: one, C: one}, resources: {cpus: 0.5, shm_size: 8MiB}}}"
    )
    first, second = resolve(loaded(tmp_path, text), DOCKER).nodes
    plain = resolve(loaded(tmp_path, ranks("")), DOCKER).nodes
    assert first == replace(
        plain[0],
        env=pairs(dict(plain[0].env) | {"A": "all", "B": "all"}),
        limits=Limits(1.0, 2**30, 2**30, 99),
    )
    assert second == replace(
        plain[1],
        env=pairs(dict(plain[1].env) | {"A": "one", "B": "all", "C": "one"}),
        limits=Limits(0.5, 2**30, 8 * 2**20, 99),
    )


def test_a_node_that_differs_in_its_variables_alone_keeps_the_limits(tmp_path: Path) -> None:
    text = ranks("resources: {pids: 99}, per_node: {0: {env: {A: x}}}")
    limits = Limits(None, None, 2**30, 99)
    assert [node.limits for node in resolve(loaded(tmp_path, text), DOCKER).nodes] == [
        limits,
        limits,
    ]


GROUP = (
    "--nnodes=2",
    "--node-rank=1",
    "--nproc-per-node=2",
    "--master-addr=pair-node-0",
    "--master-port=29501",
)
RUN = ("-m", "torch.distributed.run", *GROUP)
COMMANDS: dict[str, tuple[str, ...]] = {
    "[python, -m, trainer, --lr, '1']": ("python", *RUN, "-m", "trainer", "--lr", "1"),
    "[python3, train.py, -v]": ("python3", *RUN, "train.py", "-v"),
    "[python3.12, train.py]": ("python3.12", *RUN, "train.py"),
    "[/usr/bin/python3, train.py]": ("/usr/bin/python3", *RUN, "train.py"),
    "[python, -u, train.py]": ("python", *RUN, "train.py"),
    "[python, -u, -m, trainer]": ("python", *RUN, "-m", "trainer"),
    "[python, -c, 'print(1)']": ("python", *RUN, "--no-python", "python", "-c", "print(1)"),
    "[python, -W, error, t.py]": ("python", *RUN, "--no-python", "python", "-W", "error", "t.py"),
    "[python]": ("python", *RUN, "--no-python", "python"),
    "[sh, -c, 'python train.py']": (
        "torchrun",
        *GROUP,
        "--no-python",
        "sh",
        "-c",
        "python train.py",
    ),
    "[sh, -c, 'kill $$ $A']": ("torchrun", *GROUP, "--no-python", "sh", "-c", "kill $$$$ $$A"),
    "[python, t.py, '${local_rank}']": ("python", *RUN, "t.py", "$${local_rank}"),
    "[./train.sh, python]": ("torchrun", *GROUP, "--no-python", "./train.sh", "python"),
    "[/app/train.py]": ("torchrun", *GROUP, "--no-python", "/app/train.py"),
    "[pythonic, train.py]": ("torchrun", *GROUP, "--no-python", "pythonic", "train.py"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_several_ranks_a_node_are_started_by_torchrun(tmp_path: Path, command: str) -> None:
    text = (
        f"ranks: {{nodes: 2, nproc_per_node: 2, command: {command}}}\nrendezvous: {{port: 29501}}\n"
    )
    node = resolve(loaded(tmp_path, text), DOCKER).nodes[1]
    assert node.command == COMMANDS[command]
    told = {name: value for name, value in node.env if "RANK" in name or "WORLD" in name}
    assert told == {"NODE_RANK": "1", "WORLD_SIZE": "4"}
    assert list(node.ranks) == [2, 3]


@pytest.mark.parametrize(
    ("user", "mode", "writer", "expected"),
    [
        ("", "true", "7:8", None),
        ("", "false", "7:8", "7:8"),
        ("", "false", None, None),
        ("user: 1000,", "false", "7:8", "1000"),
        ("user: 0,", "false", "7:8", "0"),
        ("user: '5:6',", "true", "7:8", "5:6"),
        ("user: trainer,", "true", None, "trainer"),
    ],
)
def test_a_writable_mount_has_nodes_run_as_who_runs_apply(
    tmp_path: Path, user: str, mode: str, writer: str | None, expected: str | None
) -> None:
    (tmp_path / "out").mkdir()
    text = ranks(f"{user} mounts: [{{source: out, target: /out, read_only: {mode}}}]")
    state = resolve(loaded(tmp_path, text), DOCKER, writer=writer)
    assert [node.user for node in state.nodes] == [expected, expected]


def test_mounts_are_absolute_without_links_and_sorted(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "a").mkdir()
    (tmp_path / "link").symlink_to("a")
    text = ranks("mounts: [{source: ./b, target: /b}, {source: link, target: /a}]")
    expected = (
        Mount(str(tmp_path / "a"), "/a", read_only=True),
        Mount(str(tmp_path / "b"), "/b", read_only=True),
    )
    assert [node.mounts for node in resolve(loaded(tmp_path, text), DOCKER).nodes] == [
        expected,
        expected,
    ]


def test_a_node_sees_its_own_mounts_besides_those_of_all(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
    text = ranks(
        "mounts: [{source: a, target: /a}, {source: b, target: /b}], per_node: "
        "{1: {mounts: [{source: c, target: /b/}, {source: c, target: /c, read_only: false}]}}"
    )
    first, second = resolve(loaded(tmp_path, text), DOCKER, writer="7:8").nodes
    assert [(Path(each.source).name, each.target) for each in first.mounts] == [
        ("a", "/a"),
        ("b", "/b"),
    ]
    assert [(Path(each.source).name, each.target) for each in second.mounts] == [
        ("a", "/a"),
        ("c", "/b/"),
        ("c", "/c"),
    ]
    assert (first.user, second.user) == (None, "7:8")


STRICT = f"image: {{tag: 'app@sha256:{'0' * 64}'}}\nsecurity: {{profile: strict}}\n"


def strict(tmp_path: Path, text: str) -> LoadedPlaybook:
    head = "version: 1\nname: pair\n"
    return load_text((head + STRICT + text).encode(), name="pair.yaml", folder=tmp_path)


def test_strict_leaves_a_node_its_tmp_to_write_to(tmp_path: Path) -> None:
    node = resolve(strict(tmp_path, ranks("env: {HF_HOME: /models}")), DOCKER, writer="0:0").nodes[
        0
    ]
    assert (node.user, node.confinement) == (
        "65534:65534",
        Confinement(read_only_root=True, tmpfs=(("/tmp", "rw,exec,nosuid,nodev,size=1073741824"),)),
    )
    plain = dict(resolve(loaded(tmp_path, ranks("")), DOCKER).nodes[0].env)
    assert dict(node.env) == plain | {
        "HOME": "/tmp",
        "XDG_CACHE_HOME": "/tmp/.cache",
        "TORCH_HOME": "/tmp/torch",
        "HF_HOME": "/models",
        "TRITON_CACHE_DIR": "/tmp/triton",
        "TORCHINDUCTOR_CACHE_DIR": "/tmp/torchinductor",
        "LOGNAME": "node",
    }


OUT = "mounts: [{source: out, target: /out, read_only: false}],"


@pytest.mark.parametrize(
    ("given", "writer", "expected"),
    [
        (OUT, "7:8", "7:8"),
        (f"user: 1000, {OUT}", "0:0", "1000"),
        ("user: '1000:7',", "7:8", "1000:7"),
    ],
)
def test_who_runs_a_strict_node(tmp_path: Path, given: str, writer: str, expected: str) -> None:
    (tmp_path / "out").mkdir()
    state = resolve(strict(tmp_path, ranks(given)), DOCKER, writer=writer)
    assert [node.user for node in state.nodes] == [expected, expected]


def test_strict_does_not_become_root_for_a_writable_mount(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(InvalidPlaybook) as caught:
        resolve(strict(tmp_path, ranks(OUT)), DOCKER, writer="0:0")
    assert str(caught.value) == (
        f"{tmp_path / 'pair.yaml'}:1:1: ranks.user: a mount is writable, so nodes would run as "
        "root, who runs this apply; say who they run as, such as 1000:1000, or apply as another "
        "user"
    )


def test_strict_on_the_embedded_engine_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidPlaybook) as caught:
        resolve(strict(tmp_path, ranks("")), LOCAL)
    assert str(caught.value) == (
        f"{tmp_path / 'pair.yaml'}:1:1: security.profile: the local engine cannot keep a node "
        "from anything; use --engine docker, or profile: default"
    )


def test_mounts_on_the_embedded_engine_are_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    playbook = loaded(tmp_path, ranks("mounts: [{source: data, target: /data}]"))
    with pytest.raises(InvalidPlaybook) as caught:
        resolve(playbook, LOCAL)
    assert str(caught.value) == (
        f"{tmp_path / 'pair.yaml'}:1:1: ranks.mounts: the local engine has no file system of its "
        "own to mount into; use --engine docker, or paths that exist on this machine"
    )


HEALTH = "health_checks: [container: {command: 'true', interval: 2s, retries: 5}]\n"


def test_health_commands_are_part_of_each_node(tmp_path: Path) -> None:
    state = resolve(loaded(tmp_path, HEALTH + ranks("")), DOCKER)
    assert [node.health for node in state.nodes] == [HealthCommand("true", 2.0, 5.0, 5, 0.0)] * 2
    of_image = resolve(loaded(tmp_path, "health_checks: [container]\n" + ranks("")), DOCKER)
    assert [node.health for node in of_image.nodes] == [None, None]


def test_health_commands_on_the_embedded_engine_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidPlaybook) as caught:
        resolve(loaded(tmp_path, HEALTH + ranks("")), LOCAL)
    assert str(caught.value) == (
        f"{tmp_path / 'pair.yaml'}:1:1: health_checks[0].container: the local engine runs no "
        "health commands; use --engine docker, or leave the check out"
    )


NETWORKS = {
    "": NetworkSpec("pair-net"),
    "network: {internal: false}\n": NetworkSpec("pair-net", internal=False),
    "network: {name: lab, external: true}\n": NetworkSpec("lab", external=True),
}


@pytest.mark.parametrize("text", NETWORKS)
def test_the_network(tmp_path: Path, text: str) -> None:
    state = resolve(loaded(tmp_path, text + ranks("")), DOCKER)
    wanted = NETWORKS[text]
    assert (state.network, [node.network for node in state.nodes]) == (wanted, [wanted.name] * 2)


def test_the_rendezvous_as_given(tmp_path: Path) -> None:
    text = ranks("") + "rendezvous: {backend: gloo, port: 12345, timeout: 1m30s}\n"
    env = dict(resolve(loaded(tmp_path, text), DOCKER).nodes[1].env)
    given = (env["ORCHESTRATE_BACKEND"], env["MASTER_PORT"])
    assert (*given, env["ORCHESTRATE_RENDEZVOUS_TIMEOUT_S"]) == ("gloo", "12345", "90")


def test_an_image_that_is_not_built_has_no_recipe(tmp_path: Path) -> None:
    playbook = loaded(tmp_path, ranks(""))
    image = resolve(playbook, DOCKER).image
    assert (build_recipe(playbook), image) == (None, ImageSpec("app"))


def test_a_recipe_is_absolute_and_sorted(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "Dockerfile").write_text("FROM scratch\n")
    text = (
        "version: 1\nname: pair\n"
        "image: {tag: app, build: {context: src, args: {B: '2', A: '1'}}}\n" + ranks("")
    )
    playbook = load_text(text.encode(), name="pair.yaml", folder=tmp_path)
    assert build_recipe(playbook) == BuildRecipe(
        tag="app",
        context=tmp_path / "src",
        dockerfile=tmp_path / "src" / "Dockerfile",
        args=(("A", "1"), ("B", "2")),
    )


@pytest.mark.parametrize(
    ("text", "traits", "is_there"),
    [
        ("", DOCKER, True),
        ("probe: on", DOCKER, True),
        ("probe: true", LOCAL, True),
        ("probe: off", DOCKER, False),
        ("probe: false", LOCAL, False),
        ("probe: on", replace(DOCKER, places_probe=False), False),
    ],
)
def test_nodes_have_the_probe_unless_it_is_off_or_cannot_be_had(
    text: str, traits: EngineTraits, is_there: bool, tmp_path: Path
) -> None:
    state = resolve(loaded(tmp_path, ranks("") + text), traits)
    assert [node.probe for node in state.nodes] == [is_there, is_there]


CHECKS = "health_checks: [joined: {within: 20s}, progress: {every: 5s}, parameters_in_sync]\n"


@pytest.mark.parametrize(
    ("text", "orders"),
    [
        ("", ProbeOrders()),
        ("health_checks: [loss, joined]\n", ProbeOrders(join_s=60.0)),
        (CHECKS, ProbeOrders(20.0, 5.0, checksum=True)),
        (f"{CHECKS}probe: off\n", ProbeOrders()),
    ],
)
def test_the_probe_is_told_what_the_checks_want_of_it(
    text: str, orders: ProbeOrders, tmp_path: Path
) -> None:
    assert probe_orders(loaded(tmp_path, ranks("") + text).playbook) == orders
