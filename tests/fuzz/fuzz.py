"""Run the fuzz target for a while; what breaks the promise stays as an input of the tests.

python -m tests.fuzz.fuzz SECONDS [SEED]
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from orchestrator.playbook.reference import EXAMPLE
from orchestrator.playbook.schema import json_schema
from tests.corpora import json_cases, naughty_strings, yaml_cases

CRASHES: Final = Path(__file__).parent / "crashes"
"""Inputs that once broke the promise: pytest loads each of them."""

_REPOSITORY: Final = Path(__file__).resolve().parents[2]
_TOKENS: Final = (
    *("- ", ": ", "? ", "[", "]", "{", "}", ", ", "#", " #", "&a ", "*a", "!", "!!str ", "!<", "|"),
    *(">", "|+2", ">-", "'", '"', "%YAML 1.2\n", "%TAG ! x\n", "---\n", "...\n", "<<: ", "\t"),
    *("\r\n", "\\u0000", "\\x1b", "\\UFFFFFFFF", "\ufeff", "\u2028", "~", "null", "true", "0x1"),
    *("1e999", "-.inf", ".nan", "0755", "9" * 41, "{{ x }}", "1:", "60s", "2GiB", "localhost"),
)
# A playbook is short; longer inputs of the corpora only cost time.
_LONGEST: Final = 4096


def fuzz(seconds: int, *, seed: int = 0) -> subprocess.CompletedProcess[str]:
    """Fuzz in a process of its own.

    Args:
        seconds: how long.
        seed: of libFuzzer's choices; 0 takes another one each time.
    """
    CRASHES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        words = Path(scratch) / "words"
        words.write_text("".join(f'"{_escaped(word)}"\n' for word in _words()))
        inputs = Path(scratch) / "inputs"
        inputs.mkdir()
        for index, text in enumerate(_seeds()):
            (inputs / f"{index:04}").write_bytes(text)
        options = {
            "max_total_time": seconds,
            "seed": seed,
            "dict": words,
            "artifact_prefix": f"{CRASHES}/",
            "max_len": _LONGEST,
            "timeout": 10,
            "rss_limit_mb": 1024,
            "print_final_stats": 1,
        }
        arguments = [f"-{name}={value}" for name, value in options.items()]
        return subprocess.run(
            [sys.executable, "-m", "tests.fuzz.target", *arguments, str(inputs)],
            cwd=_REPOSITORY,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            check=False,
            timeout=seconds + 120,
        )


def _words() -> list[str]:
    schema = json_schema()
    sections = [schema, *schema["$defs"].values()]
    keys = {key for section in sections for key in section.get("properties", ())}
    return [*_TOKENS, *(f"{key}: " for key in sorted(keys))]


def _escaped(word: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word.encode())


def _seeds() -> list[bytes]:
    playbooks = [path.read_bytes() for path in sorted(_REPOSITORY.glob("playbooks/*.yaml"))]
    corpora = [case.text for case in yaml_cases()] + [case.text for case in json_cases()]
    texts = [text.encode("utf-8", "surrogatepass") for text in corpora + naughty_strings()]
    found = [EXAMPLE.encode(), *playbooks, *texts]
    return [text for text in found if len(text) <= _LONGEST]


if __name__ == "__main__":
    done = fuzz(int(sys.argv[1]), seed=int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    sys.stderr.write(done.stderr[-4000:])
    sys.exit(done.returncode)
