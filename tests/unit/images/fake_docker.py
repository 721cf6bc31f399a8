"""A docker command line that behaves: a dictionary of images in a folder, calls written down.

Run as a program; FAKE_DOCKER names the folder. Files in it: `images.json` {reference: labels},
`calls.jsonl` one call a line, and switches: `buildx`, `no-index`, `no-pip`, `pull` (what a pull
says before it fails), `build-fails` (what builds say, one file per failure, in order of names).
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

HOME = Path(os.environ["FAKE_DOCKER"])


def say(line: str) -> None:
    sys.stdout.write(line + "\n")


def complain(line: str) -> None:
    sys.stderr.write(line + "\n")


def option(argv: list[str], name: str) -> str:
    return argv[argv.index(name) + 1] if name in argv else ""


def images() -> dict[str, dict[str, str]]:
    path = HOME / "images.json"
    return dict(json.loads(path.read_text())) if path.exists() else {}


def add_image(reference: str, labels: dict[str, str]) -> None:
    (HOME / "images.json").write_text(json.dumps(images() | {reference: labels}))


def build(argv: list[str]) -> int:
    failures = sorted((HOME / "build-fails").glob("*"))
    if failures:
        say(failures[0].read_text())
        failures[0].unlink()
        return 1
    add_image(option(argv, "--tag"), dict([option(argv, "--label").split("=", 1)]))
    say("Successfully built")
    return 0


def run(argv: list[str]) -> int:
    if "sh" in argv:
        if (HOME / "no-index").exists():
            say("ERROR: No matching distribution found for pip")
            return 1
        return 77 if (HOME / "no-pip").exists() else 0
    say(json.dumps([3, 11, "x86_64", "glibc 2.36"]))
    return 0


def inspect(argv: list[str]) -> int:
    labels = images().get(argv[-1])
    if labels is None:
        complain(f"Error response from daemon: No such image: {argv[-1]}")
        return 1
    wanted = labels.values() if "index" in option(argv, "--format") else ()
    say(" ".join([f"sha256:{argv[-1]}", *wanted]))
    return 0


def note(argv: list[str]) -> None:
    seen: dict[str, object] = {"argv": argv, "buildkit": os.environ.get("DOCKER_BUILDKIT")}
    if argv[0] == "build":
        context = Path(argv[-1])
        seen["files"] = sorted(
            str(p.relative_to(context)) for p in context.rglob("*") if p.is_file()
        )
        seen["dockerfile"] = Path(option(argv, "--file")).read_text()
    with (HOME / "calls.jsonl").open("a") as calls:
        calls.write(json.dumps(seen) + "\n")


def main(argv: list[str]) -> int:
    note(argv)
    match argv[0]:
        case "buildx":
            return 0 if (HOME / "buildx").exists() else 1
        case "image":
            return inspect(argv)
        case "pull":
            say((HOME / "pull").read_text())
            return 1
        case "import":
            add_image(argv[-1], {"orchestrate.base": "v1"})
            return 0
        case "run":
            return run(argv)
        case "build":
            return build(argv)
    say(f"unknown command {argv}")
    return 125


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
