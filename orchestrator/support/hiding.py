"""What must not be seen in a bundle: learns the values that can be read, and says which cannot.

A log may hold any of them. So where a value is not known, what may hold it stays out.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from msgspec import Struct

from orchestrator.errors import InvalidPlaybook
from orchestrator.playbook.loaded import LoadedPlaybook
from orchestrator.playbook.outside import Taken, take
from orchestrator.playbook.show import secret_texts
from orchestrator.redaction import learn
from orchestrator.state.spec import NodeSpec

SHORTEST_VARIABLE = 6
"""Files of variables are full of `true` and `info`: hiding those would hide every other word."""


class Known(Struct, frozen=True):
    """Names of the secrets and of the hidden variables whose values are known."""

    secrets: frozenset[str] = frozenset()
    variables: frozenset[str] = frozenset()

    def __or__(self, other: Known) -> Known:
        return Known(self.secrets | other.secrets, self.variables | other.variables)


def learn_of_playbook(loaded: LoadedPlaybook, host: Mapping[str, str] = os.environ) -> Known:
    """Learn what the playbook gives to nodes, as it is on this machine now."""
    _learn_texts(secret_texts(loaded.playbook, loaded.secret))
    try:
        taken = take(loaded, host)
    except InvalidPlaybook:
        return Known()
    files = (taken.env, *taken.node_env.values())
    _learn_texts(value for each in files for value in each.values())
    return Known(frozenset(name for name, _ in taken.secrets), _names(taken))


def _names(taken: Taken) -> frozenset[str]:
    return frozenset(taken.env).union(*taken.node_env.values())


def learn_of_nodes(specs: Iterable[NodeSpec]) -> Known:
    """Learn what nodes that are there were given."""
    known = Known()
    for spec in specs:
        hidden = {name: value for name, value in spec.env if name in spec.hidden_env}
        _learn_texts(hidden.values())
        found = {each.name: each.value for each in spec.secrets if each.value is not None}
        learn(found.values())
        known |= Known(frozenset(found), frozenset(hidden))
    return known


def _learn_texts(texts: Iterable[str]) -> None:
    learn(text.encode("utf-8", "surrogatepass") for text in texts if len(text) >= SHORTEST_VARIABLE)


def unknown_of(specs: Iterable[NodeSpec], known: Known) -> Known:
    """The secrets and hidden variables of nodes whose values are not known."""
    specs = tuple(specs)
    secrets = {each.name for spec in specs for each in spec.secrets} - known.secrets
    variables = {name for spec in specs for name in spec.hidden_env} - known.variables
    return Known(frozenset(secrets), frozenset(variables))
