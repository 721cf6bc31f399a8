"""What holds of every finding, whatever the machine: a fault always says what to do about it."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from orchestrator.doctor.facts import (
    Command,
    Docker,
    Engine,
    Facts,
    Feature,
    Folder,
    Gpus,
    Limiting,
    Mps,
    Networks,
    Place,
    Room,
    Toolkit,
    Unknown,
)
from orchestrator.doctor.finding import Status, exit_code
from orchestrator.doctor.judging import judge
from orchestrator.doctor.needs import Needs
from orchestrator.errors import ExitCode
from orchestrator.gpus.inventory import Gpu, Slice
from tests.unit.doctor.machines import (
    COMMAND,
    DEBIAN,
    ENGINE,
    GIB,
    GPU_PAIR,
    LOAD,
    PAIR,
    WELL,
    with_mode,
)
from tests.unit.made import made

SILENT = Unknown("no answer", "ask again", ExitCode.ENGINE_UNAVAILABLE)
A100 = Gpu(0, "GPU-1", "A100")
CUT = Gpu(1, "GPU-2", "A100", has_mig=True, slices=(Slice("MIG-1", "3g.20gb", 0),))
SIZES = (0, GIB, 64 * GIB)

engines = st.builds(
    lambda version, limiting, others: replace(ENGINE, version=version, limiting=limiting, **others),
    st.sampled_from(("19.03", "20.10.24", "26.1.5", "28.5", "dev", "")),
    st.builds(Limiting, st.booleans(), st.booleans(), st.booleans()),
    st.fixed_dictionaries(
        {
            "cpus": st.sampled_from((0, 1, 8)),
            "memory_bytes": st.sampled_from(SIZES),
            "kernel": st.sampled_from((ENGINE.kernel, "linuxkit")),
            "is_rootless": st.booleans(),
            "runtimes": st.sampled_from(((), ("nvidia",))),
            "cdi_folders": st.sampled_from(((), ("/etc/cdi",))),
            "cdi_devices": st.sampled_from(((), ("nvidia.com/gpu=GPU-1",))),
            "pool_sizes": st.sampled_from(((), (2,))),
            "ahead_s": st.sampled_from((0.0, -60.0, 60.0)),
        }
    ),
)
answers: st.SearchStrategy[Engine | Unknown] = st.one_of(st.just(SILENT), engines)
dockers = st.builds(
    Docker,
    st.sampled_from((COMMAND, Command("/d", "", has_buildx=False), SILENT)),
    st.builds(Place, st.just("unix:///s"), st.booleans(), st.booleans(), st.booleans()),
    answers,
    st.sampled_from((SILENT, Networks(("bridge",) * 40, ("left",)), Networks(()))),
    st.sampled_from((SILENT, Room("/d", 0, 0), Room("/d", GIB), Room("/d", 64 * GIB))),
    st.sampled_from((SILENT, None, GIB)),
)
gpus = st.builds(
    made(Gpus),
    st.sampled_from(
        (SILENT, (A100,), (CUT,), (A100, CUT), (replace(A100, compute_mode="Prohibited"),))
    ),
    st.sampled_from(("", "550")),
    st.builds(Toolkit, st.sampled_from(("", "ctk")), st.sampled_from(("", "/hook"))),
    st.builds(Mps, st.sampled_from(("", "/mps")), st.just("/pipes"), st.booleans()),
)

machines = st.builds(
    made(Facts),
    system=st.builds(
        lambda family, others: replace(DEBIAN, family=family, **others),
        st.sampled_from(type(DEBIAN.family)),
        st.fixed_dictionaries(
            dict.fromkeys(
                ("is_ubuntu", "is_wsl", "is_root", "has_systemd", "has_init_script"), st.booleans()
            )
        ),
    ),
    release=st.just(ENGINE.kernel),
    python=st.just("3.12"),
    cpus=st.sampled_from((1, 8)),
    memory_bytes=st.sampled_from(SIZES),
    memory_free_bytes=st.sampled_from((*SIZES, SILENT)),
    folders=st.tuples(
        st.builds(
            Folder,
            st.sampled_from(("state", "runs")),
            st.just("/s"),
            st.sampled_from(("", "/", "/s")),
            st.sampled_from(SIZES),
        )
    ),
    docker=st.none() | dockers,
    kernel=st.dictionaries(st.sampled_from(tuple(WELL.kernel)), st.sampled_from(Feature)),
    gpus=gpus,
    port=st.sampled_from((None, SILENT)),
    plan=st.sampled_from((None, "nothing to do", SILENT)),
)
wishes: st.SearchStrategy[Needs | None] = st.none() | st.builds(
    lambda pair, load, others: replace(pair, load=replace(LOAD, **load), **others),
    st.sampled_from((PAIR, GPU_PAIR, with_mode("mps"), with_mode("exclusive"), with_mode("mig"))),
    st.fixed_dictionaries(
        {
            "cpus": st.sampled_from((0.0, 6.0)),
            "cpus_of_one": st.sampled_from((0.0, 3.0)),
            "memory_bytes": st.sampled_from(SIZES),
            "shm_bytes": st.sampled_from((None, 1, GIB)),
            "shm_over_memory": st.sampled_from(("", "node-1")),
            "limits": st.sampled_from((frozenset[str](), frozenset({"memory"}))),
        }
    ),
    st.fixed_dictionaries(
        {"builds": st.booleans(), "network": st.sampled_from((None, "net")), "image": st.just("a")}
    ),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(facts=machines, needs=wishes)
def test_every_fault_says_why_it_matters_and_what_to_do(facts: Facts, needs: Needs | None) -> None:
    findings = judge(facts, needs)
    for each in findings:
        is_fault = each.status in {Status.WARNING, Status.PROBLEM}
        assert each.found
        assert (bool(each.why), bool(each.mend)) == (is_fault, is_fault), each
        assert (each.code is not None) == (each.status is Status.PROBLEM), each
        assert not each.remedies or is_fault
        assert "\n" not in each.found + each.why + each.mend
    ids = [each.id for each in findings]
    assert len(set(ids)) == len(ids)
    is_bad = any(each.status is Status.PROBLEM for each in findings)
    assert (exit_code(findings) is not ExitCode.CONVERGED) == is_bad
