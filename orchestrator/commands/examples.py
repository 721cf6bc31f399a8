"""How the help of each verb ends: commands to copy, and what they are for. Data alone."""

from __future__ import annotations

EXIT_CODES = """
\b
Exit codes:
   0 converged                        9 no such project
   1 a check failed, or a node       10 disk full
   2 changes pending (--exit-code)   11 port or address trouble
   3 invalid playbook                12 the engine failed
   4 engine not reachable            13 logs or locks cannot be written
   5 image not to be had             14 GPUs not to be had
   6 name taken                      15 another owner's project
   7 node not started                16 plan file out of date
   8 locked by another apply         17 not as applied, right afterwards
                                     18 kept run unreadable
                                     64 wrong usage
                                     70 a bug
                                    130 interrupted
"""

EXAMPLES: dict[str, tuple[tuple[str, str], ...]] = {
    "apply": (
        ("orchestrate apply train.yaml", ""),
        ("orchestrate apply train.yaml -e steps=50 --rerun", "again, with another value"),
        ("orchestrate apply train.yaml --junit verdict.xml", "in CI: a test case for each check"),
        ("orchestrate apply train.yaml --plain --no-follow", "no live board, no nodes' lines"),
        ("orchestrate apply train.yaml --engine local", "without Docker, without isolation"),
    ),
    "plan": (
        ("orchestrate plan train.yaml", ""),
        ("orchestrate plan train.yaml --exit-code", "ends with 2 if there is something to do"),
        ("orchestrate plan train.yaml --out train.plan", "then: orchestrate apply train.plan"),
    ),
    "verify": (
        ("orchestrate verify train.yaml", ""),
        (
            "orchestrate verify train --run 20260102T030405-89abcdef --junit verdict.xml",
            "an older run",
        ),
    ),
    "report": (
        ("orchestrate report", "report.html of the only project that runs are kept of"),
        ("orchestrate report train --out train.html --compare 20260102T030405-89abcdef", ""),
        ("orchestrate report train --trace trace.json", "then open it at ui.perfetto.dev"),
        ("orchestrate report train --csv numbers/ --tensorboard tb/", ""),
    ),
    "validate": (
        ("orchestrate validate train.yaml", ""),
        ("orchestrate validate train.yaml --show", "with defaults and variables filled in"),
    ),
    "doctor": (
        ("orchestrate doctor train.yaml", "has this machine what it needs?"),
        ("orchestrate doctor", "the general part"),
        ("orchestrate doctor train.yaml --fix", "does what is harmless, asking each time"),
        ("orchestrate doctor train.yaml --json", "for a program"),
        ("orchestrate doctor --gpu-selftest", "owners of GPUs: try every mode, and report"),
    ),
    "schema": (("orchestrate schema > playbook.schema.json", "for an editor's completion"),),
    "support-bundle": (
        ("orchestrate support-bundle train.yaml", ""),
        ("orchestrate support-bundle train --out /tmp/train.tar.gz", "by the project's name"),
    ),
    "status": (
        ("orchestrate status", "every project"),
        ("orchestrate status train --watch", "a live board of it, whoever started it"),
        ("orchestrate status train --json", "one, for a program"),
    ),
    "logs": (
        ("orchestrate logs", "of the only project there is"),
        ("orchestrate logs train --node 1 --follow", "one node, as its lines come"),
        ("orchestrate logs train --level warning --since 5m", "what may be wrong"),
        (
            "orchestrate logs train --event step --json --tail 100",
            "the latest steps, for a program",
        ),
        ("orchestrate logs train --run 20260102T030405-89abcdef", "of an older run"),
    ),
    "destroy": (
        ("orchestrate destroy", "the only project there is"),
        ("orchestrate destroy train", "by its name: the playbook may be gone"),
        ("orchestrate destroy --all --grace 0", "everything of mine, at once"),
    ),
    "init": (
        ("orchestrate init", "asks, and writes playbook.yaml"),
        ("orchestrate init demo --kind trainer --yes", "a folder with the built-in trainer"),
        ("orchestrate init --script train.py --nodes 4", "your own script"),
        (
            "orchestrate init demo --image my/train:1 -- python train.py",
            "an image that is here or can be pulled",
        ),
        ("orchestrate init --from start.sh", "`docker run` commands; - reads them"),
        ("orchestrate init demo.yaml --from compose.yaml", "a Compose file"),
    ),
    "completion": (
        ("orchestrate completion bash --install", "from the next shell on"),
        ('eval "$(orchestrate completion bash)"', "in this shell alone"),
        ("orchestrate completion zsh", "print the script"),
    ),
}
"""By verb: commands, each with what it is for."""
