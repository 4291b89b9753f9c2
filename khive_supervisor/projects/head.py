"""What a checkout has checked out, as its files say: the branch, and the branch's commit."""

from __future__ import annotations

import os
import re

from khive_supervisor.host.small_file import read_regular

#: Bytes of the largest HEAD or reference, and of the largest list of packed references.
_REFERENCE, LARGEST_PACKED = 4096, 4 << 20
_COMMIT = re.compile("[0-9a-f]{40}([0-9a-f]{24})?")
_HEADS = "refs/heads/"


def checked_out(own: str, common: str) -> tuple[str, str]:
    """Return branch and commit of a checkout; empty where there is none, or it is not to be told.

    `own` and `common` are its git directory and the one that all checkouts share.
    """
    head = _text(f"{own}/HEAD", _REFERENCE)
    if not head.startswith("ref: "):
        return "", head if _COMMIT.fullmatch(head) else ""
    name = head.removeprefix("ref: ").strip()
    if not name.startswith(_HEADS) or ".." in name or "\0" in name or "/." in name:
        return "", ""
    return name.removeprefix(_HEADS), commit_of(name, common)


def commit_of(reference: str, common: str) -> str:
    """Return the commit of a full reference name such as `refs/heads/main`; empty without one."""
    loose = _text(f"{common}/{reference}", _REFERENCE)
    if _COMMIT.fullmatch(loose):
        return loose
    packed = read_small(f"{common}/packed-refs", LARGEST_PACKED)
    place = packed.find(f" {reference}\n".encode("utf-8", "surrogateescape"))
    line = packed[packed.rfind(b"\n", 0, max(place, 0)) + 1 : place] if place > 0 else b""
    found = line.decode("ascii", "replace")
    return found if _COMMIT.fullmatch(found) else ""


def _text(file: str, limit: int) -> str:
    return read_small(file, limit).decode("utf-8", "surrogateescape").strip()


def read_small(file: str, limit: int) -> bytes:
    """Return the content of a regular file; nothing if it cannot be read, or is larger."""
    try:
        return read_regular(os.path.realpath(file), limit)[0]
    except OSError:
        return b""
