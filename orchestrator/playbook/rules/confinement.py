"""Rules on what the profile `strict` asks of the rest of a playbook."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from orchestrator.playbook.models import Playbook
from orchestrator.playbook.rules.base import Rule, Site, lists_of_mounts
from orchestrator.playbook.security import TMP
from orchestrator.playbook.tree import Complaint

# By the digest of its manifest, or by its id on this engine.
_PINNED = re.compile(r"(.+@)?sha256:[0-9a-f]{64}")
_NUMERIC = re.compile(r"([0-9]+)(:[0-9]+)?", re.ASCII)

_PROFILE = ("security", "profile")


def _is_strict(playbook: Playbook) -> bool:
    return playbook.security.profile == "strict"


def _image(playbook: Playbook, _: Site) -> Iterator[Complaint]:
    image = playbook.image
    # What is built here is pinned as well: by the digest of its inputs, and the id of each node.
    if _is_strict(playbook) and image.build is None and not _PINNED.fullmatch(image.tag):
        fix = "write it like name@sha256:…, or give image.build"
        yield Complaint(("image", "tag"), "strict wants a pinned image, and a tag may move", fix)


def _daemon_image(playbook: Playbook, _: Site) -> Iterator[Complaint]:
    tag = playbook.gpu.daemon_image
    if _is_strict(playbook) and tag is not None and not _PINNED.fullmatch(tag):
        what = "strict wants a pinned image, and a tag may move"
        yield Complaint(("gpu", "daemon_image"), what, "write it like name@sha256:…")


def _network(playbook: Playbook, _: Site) -> Iterator[Complaint]:
    if not _is_strict(playbook):
        return
    if not playbook.network.internal:
        what = "strict lets no node out of its network"
        yield Complaint(("network", "internal"), what, "remove it, or use profile: default")
    if playbook.network.external:
        what = "strict cannot vouch for a network that is not ours"
        yield Complaint(("network", "external"), what, "remove it, or use profile: default")


def _user(playbook: Playbook, _: Site) -> Iterator[Complaint]:
    user = playbook.ranks.user
    if not _is_strict(playbook) or user is None:
        return
    numeric = _NUMERIC.fullmatch(str(user))
    if numeric is None:
        what = f"strict wants numbers: the image says who {user!r} is, and may say root"
        yield Complaint(("ranks", "user"), what, "write a uid or uid:gid, such as 1000:1000")
    elif int(numeric[1]) == 0:
        yield Complaint(("ranks", "user"), "strict runs no node as root", "write another uid")


def _tmp_size(playbook: Playbook, _: Site) -> Iterator[Complaint]:
    if playbook.security.tmp_bytes is not None and not _is_strict(playbook):
        what = "only the profile strict gives a node a /tmp of its own"
        yield Complaint(("security", "tmp_size"), what, "add profile: strict, or remove it")


def _tmp_target(playbook: Playbook, _: Site) -> Iterator[Complaint]:
    if not _is_strict(playbook):
        return
    for at, mounts in lists_of_mounts(playbook):
        for index, mount in enumerate(mounts):
            if posixpath.normpath(mount.target) == TMP:
                what = "strict gives every node a /tmp of its own"
                yield Complaint((*at, index, "target"), what, "use a folder such as /data")


STRICT_IMAGE = Rule(_image, reads=(_PROFILE, ("image", "tag"), ("image", "build")))
STRICT_NETWORK = Rule(_network, reads=(_PROFILE,))
STRICT_USER = Rule(_user, reads=(_PROFILE, ("ranks", "user")))
STRICT_TMP = Rule(_tmp_target, reads=(_PROFILE,))
STRICT_DAEMON = Rule(_daemon_image, reads=(_PROFILE,))
TMP_SIZE = Rule(_tmp_size, reads=(_PROFILE,))
