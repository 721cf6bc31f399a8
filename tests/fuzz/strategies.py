"""Playbooks that hold, as a strategy made from the JSON Schema: new fields come by themselves.

What a schema cannot say, such as files that exist and rules between values, is said by place.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeAlias

from hypothesis import strategies as st

from orchestrator.playbook.schema import language_schema

Json: TypeAlias = Any
Schema: TypeAlias = dict[str, Any]
Values: TypeAlias = st.SearchStrategy[Json]

ROOT: Final[Schema] = language_schema()

FILES: Final = {
    "Dockerfile": "",
    "requirements.txt": "",
    "data/here": "",
    "data/a b": "",
    "base.yaml": "vars: {of_the_base: 1}\n",
    "common.env": "NAME_OF_A_FILE=1\n",
    "token": "a secret\n",
}
"""What must be in the folder of the playbooks, below `folder`."""

_ANY_TEXT: Final = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12
)
# Hypothesis tries the words of our own code, too: templates, and what a command may not say.
_TEXT: Final = _ANY_TEXT.filter(lambda text: "{{" not in text)
_WORD: Final = _TEXT.filter(lambda text: text.strip() and "--" not in text and "=" not in text)
_DURATION: Final = st.builds(
    "{}{}".format, st.integers(1, 500), st.sampled_from(["ms", "s", "m", "h"])
) | st.sampled_from(["1m30s", "1.5h", "0.5s", "1h1m1s1ms"])
_SIZE: Final = st.sampled_from(["6MiB", "8 MiB", "16MB", "6291456B", 8_388_608, "0.01GiB"])


def make_files(folder: Path) -> Path:
    """Put the files that the playbooks name into a folder."""
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def resolve(schema: Schema) -> Schema:
    """Follow a reference."""
    while "$ref" in schema:
        schema = ROOT["$defs"][schema["$ref"].rpartition("/")[2]]
    return schema


def values(schema: Schema, place: str) -> Values:
    """Give the values that a schema allows.

    Args:
        schema: a part of `ROOT`.
        place: where the value is: `ranks.mounts.source`.
    """
    if place in _BY_PLACE:
        return _BY_PLACE[place]
    schema = resolve(schema)
    if "anyOf" in schema and "x-unit" not in schema:
        return st.one_of([values(choice, place) for choice in schema["anyOf"]])
    if "const" in schema or "enum" in schema:
        return st.sampled_from(schema.get("enum") or [schema["const"]])
    if "x-unit" in schema:
        return {"duration": _DURATION, "size": _SIZE}[schema["x-unit"]]
    return _BY_TYPE[schema["type"]](schema, place)


def _object(schema: Schema, place: str) -> Values:
    free = schema.get("additionalProperties")
    if free:
        names = st.from_regex(
            re.compile(schema["propertyNames"]["pattern"], re.ASCII), fullmatch=True
        )
        return st.dictionaries(names, values(free, f"{place}.*"), max_size=3)
    known = schema["properties"]
    required = schema.get("required", [])
    below = {key: values(of, f"{place}.{key}".lstrip(".")) for key, of in known.items()}
    return st.fixed_dictionaries(
        {key: below[key] for key in required},
        optional={key: below[key] for key in known if key not in required},
    )


def _array(schema: Schema, place: str) -> Values:
    return st.lists(
        values(schema["items"], f"{place}.*"), min_size=schema.get("minItems", 0), max_size=4
    )


def _string(schema: Schema, _: str) -> Values:
    if "pattern" in schema:
        pattern = re.compile(schema["pattern"], re.ASCII)
        # `$` lets a line break follow.
        texts = st.from_regex(pattern, fullmatch=True)
        longest = schema.get("maxLength", 4096)
        return texts.filter(lambda text: "\n" not in text and len(text) <= longest)
    return _TEXT.filter(lambda text: len(text) >= schema.get("minLength", 0))


def _integer(schema: Schema, _: str) -> Values:
    return st.integers(schema.get("minimum", 0), schema.get("maximum", 7))


def _number(schema: Schema, place: str) -> Values:
    above = schema.get("exclusiveMinimum")
    low = schema.get("minimum", 0) if above is None else above
    high = schema.get("maximum", 100)
    floats = st.floats(low, high, exclude_min=above is not None)
    return floats | st.integers(int(low) + 1, int(high))


_BY_TYPE: Final[dict[str, Callable[[Schema, str], Values]]] = {
    "object": _object,
    "array": _array,
    "string": _string,
    "integer": _integer,
    "number": _number,
    "boolean": lambda *_: st.booleans(),
    "null": lambda *_: st.none(),
}

_ENV: Final = st.dictionaries(
    st.from_regex(r"[a-z_][A-Za-z0-9_]{0,8}", fullmatch=True), _TEXT, max_size=3
)
_MOUNT: Final = st.fixed_dictionaries(
    {
        "source": st.sampled_from(["data", "./data/a b", "data/here"]),
        "target": st.from_regex(r"/[a-c]{1,3}(/[a-z.]{1,4}x)?", fullmatch=True),
    },
    optional={"read_only": st.booleans(), "outside": st.booleans()},
)
_MOUNTS: Final = st.lists(_MOUNT, max_size=3, unique_by=lambda mount: mount["target"])
_VARS: Final = st.dictionaries(
    st.from_regex(r"[a-z_][A-Za-z0-9_]{0,8}", fullmatch=True),
    _TEXT | st.integers() | st.booleans() | st.none() | st.lists(st.integers(), max_size=3),
    max_size=3,
)
_ENV_FILES: Final = st.sampled_from([[], ["common.env"]])
_SECRETS: Final = st.sampled_from([[], [{"name": "key", "file": "token"}]])
_BY_PLACE: Final[dict[str, Values]] = {
    "vars": _VARS,
    "include": st.sampled_from([[], "base.yaml", ["base.yaml"]]),
    "ranks.env_file": _ENV_FILES,
    "ranks.per_node.*.env_file": _ENV_FILES,
    "ranks.secrets": _SECRETS,
    "image.build.context": st.sampled_from([".", "./"]),
    "image.build.dockerfile": st.just("Dockerfile"),
    "image.build.requirements": st.sampled_from(["requirements.txt", "data/here", None]),
    # What the other keys of these two mean, and whether they may be there, depends on the first.
    "gpu": st.sampled_from(
        [{}, *({"mode": mode} for mode in ("cpu", "exclusive", "shared", "mps", "mig"))]
    ),
    "security": st.sampled_from([{}, {"profile": "default"}]),
    "network.name": st.from_regex(r"lab[a-zA-Z0-9_.-]{0,40}", fullmatch=True),
    "ranks.nodes": st.sampled_from([1, 2, 3, 8, 16]),
    "ranks.command": st.lists(_WORD, min_size=1, max_size=5),
    "ranks.env": _ENV,
    "ranks.per_node.*.env": _ENV,
    "ranks.mounts": _MOUNTS,
    "ranks.per_node.*.mounts": _MOUNTS,
    "rendezvous.backend": st.sampled_from(["auto", "gloo"]),
}


def _kind(check: Json) -> str:
    return check if isinstance(check, str) else next(iter(check))


def _possible(check: Json) -> Json:
    """The check with a rate, if it is of throughput; without what mounts may stand against.

    Without a single node to be asked, too: there may be fewer.
    """
    kind = _kind(check)
    options = (check[kind] if isinstance(check, dict) else None) or {}
    if kind == "throughput" and not (options.get("steps_per_s") or options.get("tokens_per_s")):
        return {kind: {**options, "steps_per_s": 1.5}}
    if kind == "loss" and "matches" in options:
        return {kind: {**options, "matches": "nothing"}}
    if kind in {"http", "tcp"}:
        return {kind: {name: value for name, value in options.items() if name != "node"}}
    return check


def _consistent(playbook: Json) -> Json:
    """Keep the rules between values."""
    network = playbook.get("network", {})
    if network.get("external"):
        network.setdefault("name", "lab")
    mode = playbook.get("gpu", {}).get("mode", "cpu")
    if mode != "cpu":
        playbook["ranks"].pop("nproc_per_node", None)
    checks = playbook.get("health_checks", [])
    if checks:
        by_kind = {_kind(check): check for check in checks}
        if mode != "mps":
            by_kind.pop("mps", None)
        playbook["health_checks"] = [_possible(check) for check in by_kind.values()]
    if overrides := playbook["ranks"].get("per_node"):
        nodes = playbook["ranks"]["nodes"]
        # JSON has no numbers as keys, YAML has.
        playbook["ranks"]["per_node"] = {int(key) % nodes: of for key, of in overrides.items()}
    return playbook


PLAYBOOKS: Final[Values] = values(ROOT, "").map(_consistent)
"""Playbooks without a fault in a folder with `FILES`."""
