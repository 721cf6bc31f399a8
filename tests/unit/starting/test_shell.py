"""Shell scripts -> commands, as far as they can be told without running them."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.errors import InvalidPlaybook
from orchestrator.starting.shell import as_written, commands_of, is_unknown

SCRIPT = r"""#!/bin/bash
A=one B="two words" # both at once
export C='$A # no "comment"'
p "$A" ${B} $C x#y '#z' "a\$A" \$A \
  more; p 2 && p 3 | p 4 & p 5
for i in 1 $A; do
  p $i
  for j in {0..1}; do p "$i$j"; done
done > all.log 2>&1
for k in $(seq 2); do p ${k} "$(pwd)/x"; done
p "${D:-default}" "multi
line" `pwd` 2> err
"""


def test_a_script_is_read_as_a_shell_runs_it(tmp_path: Path) -> None:
    """Held against a real shell, where p prints its arguments."""
    defined = 'p() { printf "%s|" "$@"; echo "//"; }\n'
    script = SCRIPT.replace("> all.log 2>&1", "").replace("$(pwd)", ".").replace("`pwd`", ".")
    run = subprocess.run(
        ["bash", "-c", defined + script.replace("&& p 3 | p 4 & p 5", "; p 3; p 4; p 5")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    printed = [tuple(each.split("|")[:-1]) for each in run.stdout.split("//\n")[:-1]]
    found = [command.words[1:] for command in commands_of(SCRIPT, "x") if command.words[0] == "p"]
    # Words that an unquoted variable holds are split by both.
    assert found == printed


def test_lines_and_redirections_are_told() -> None:
    found = commands_of("a\n\nb \\\n c > x\n# d\ne 2>&1\n", "x")
    assert [(each.line, each.words, each.has_redirection) for each in found] == [
        (1, ("a",), False),
        (3, ("b", "c"), True),
        (6, ("e",), True),
    ]


def test_what_only_a_running_shell_knows_is_marked() -> None:
    (command,) = commands_of("p $X \"$(a 'b' c)\" '$X' `d` $", "x")
    assert [(as_written(word), is_unknown(word)) for word in command.words[1:]] == [
        ("$X", True),
        ("$(a 'b' c)", True),
        ("$X", False),
        ("`d`", True),
        ("$", True),
    ]


@pytest.mark.parametrize("text", ["\ue000", "x" * 300_000, "for i in {0..99999}; do p; done"])
def test_what_is_too_much_is_refused(text: str) -> None:
    with pytest.raises(InvalidPlaybook):
        commands_of(text, "x")


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="ab \n\\'\"$`(){};&|<>#=-.0123456789,for indo", max_size=80))
def test_no_text_raises_anything_else(text: str) -> None:
    with suppress(InvalidPlaybook):
        assert all(command.words for command in commands_of(text, "x"))
