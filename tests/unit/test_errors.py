"""One root error: its text, and an exit code of its own for each kind."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

import orchestrator
from orchestrator import errors
from orchestrator.errors import ExitCode, Fault, InvalidPlaybook, OrchestrateError

# Not from an error but from how an apply, a plan or the program itself went.
OTHER_ENDS = {
    ExitCode.CONVERGED,
    ExitCode.NOT_CONVERGED,
    ExitCode.CHANGES_PENDING,
    ExitCode.INTERRUPTED,
}


def kinds(root: type[OrchestrateError] = OrchestrateError) -> Iterator[type[OrchestrateError]]:
    """Every error of the program; benchmarks and tests may have others."""
    for kind in root.__subclasses__():
        if kind.__module__.startswith("orchestrator."):
            yield kind
        yield from kinds(kind)


def test_every_kind_of_error_has_an_exit_code_of_its_own() -> None:
    for module in pkgutil.walk_packages(orchestrator.__path__, "orchestrator."):
        importlib.import_module(module.name)
    # A finer kind of another one, told apart within, has none of its own.
    codes = {kind.__name__: kind.exit_code for kind in kinds() if "exit_code" in vars(kind)}
    assert codes == {
        "InvalidPlaybook": ExitCode.INVALID_PLAYBOOK,
        "EngineUnavailable": ExitCode.ENGINE_UNAVAILABLE,
        "EngineFailed": ExitCode.ENGINE_FAILED,
        "ImageUnavailable": ExitCode.IMAGE_UNAVAILABLE,
        "FolderUnusable": ExitCode.FOLDER_UNUSABLE,
        "NameTaken": ExitCode.NAME_TAKEN,
        "NotOwner": ExitCode.NOT_OWNER,
        "UnusableSetting": ExitCode.USAGE,
        "NodeNotStarted": ExitCode.NODE_NOT_STARTED,
        "Locked": ExitCode.LOCKED,
        "PlanRefused": ExitCode.PLAN_REFUSED,
        "StillDifferent": ExitCode.STILL_DIFFERENT,
        "RunUnreadable": ExitCode.RUN_UNREADABLE,
        "NoSuchProject": ExitCode.NO_SUCH_PROJECT,
        "OutOfSpace": ExitCode.OUT_OF_SPACE,
        "AddressUnavailable": ExitCode.ADDRESS_UNAVAILABLE,
        "GpuUnavailable": ExitCode.GPU_UNAVAILABLE,
    }
    assert len(set(codes.values())) == len(codes)
    assert set(codes.values()) | OTHER_ENDS | {OrchestrateError.exit_code} == set(ExitCode)


def test_every_error_of_the_house_has_the_one_root() -> None:
    found = [each for each in vars(errors).values() if isinstance(each, type)]
    raised = {each for each in found if issubclass(each, Exception)}
    assert raised == {OrchestrateError, *kinds()} & raised
    assert all(issubclass(each, OrchestrateError) for each in raised)


def test_an_error_says_what_and_how_to_mend_it() -> None:
    told = [str(OrchestrateError("it is broken", fix="mend it")), str(OrchestrateError("it is"))]
    assert told == ["it is broken; mend it", "it is"]


def test_a_fault_says_where() -> None:
    faults = [
        Fault("x.yaml", 3, 5, "ranks.nodes", "-1 is too small", "say 1 or more"),
        Fault("x.yaml", 1, 1, "", "is empty"),
    ]
    assert [str(fault) for fault in faults] == [
        "x.yaml:3:5: ranks.nodes: -1 is too small; say 1 or more",
        "x.yaml:1:1: is empty",
    ]


def test_faults_come_in_the_order_of_the_file() -> None:
    late, early = Fault("x", 10, 1, "b", "late"), Fault("x", 2, 9, "a", "early")
    error = InvalidPlaybook(iter([late, early]))
    assert (error.faults, str(error)) == ((early, late), "x:2:9: a: early\nx:10:1: b: late")
