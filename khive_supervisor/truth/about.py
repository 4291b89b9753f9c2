"""What a memory is about in somebody's files, and what has become of it there; pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha1

from khive_supervisor.truth import code_values

#: What may have become of it.
FRESH, CHANGED, GONE, MOVED = "fresh", "changed", "gone", "moved"

_NAME = re.compile(r"[^\s=:]+(?:\.[^\s=:]+)*")


@dataclass(frozen=True, slots=True)
class About:
    """A place in code: a path below the project's root, and what is said of a name there.

    `value` is what the memory says that `name` has; None if it says nothing of that.
    """

    path: str
    name: str | None = None
    value: str | None = None

    def __str__(self) -> str:
        """Return how it is written."""
        name = f"::{self.name}" if self.name else ""
        return f"{self.path}{name}" + (f"={self.value}" if self.value is not None else "")


def parse(text: str) -> About | None:
    """Return what `path[::name[=value]]` says; None if it is none, or leads out of the root."""
    path, _, rest = text.strip().partition("::")
    name, equals, value = rest.partition("=")
    clean = posixpath.normpath(path.strip()) if path.strip() else ""
    if not clean or clean == "." or clean.startswith(("/", "../")) or clean == ".." or "\0" in text:
        return None
    if not rest:
        return None if "::" in text else About(clean)
    name = name.strip()
    if not _NAME.fullmatch(name):
        return None
    return About(clean, name, value.strip() if equals else None)


def blob_id(data: bytes) -> str:
    """Return git's id of a file's content, in hexadecimal."""
    return sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _values(data: bytes, about: About) -> list[str]:
    if about.name is None:
        return []
    suffix = posixpath.splitext(about.path)[1].lower()
    if not suffix and posixpath.basename(about.path).startswith(".env"):
        suffix = ".env"
    return code_values.values(data.decode("utf-8", "replace"), about.name, suffix)


@dataclass(frozen=True, slots=True)
class State:
    """What has become of it, and what there is to say of that."""

    state: str
    said: str = ""


def judged(about: About, blob: str | None, data: bytes) -> State:
    """Return what has become of a place, by its file as it is now, and as it was (its blob)."""
    if blob is not None and blob_id(data) == blob:
        return _declared(about, data) if about.value is not None else State(FRESH)
    if about.name is None:
        return State(CHANGED)
    if about.value is not None:
        return _declared(about, data)
    return State(FRESH) if _values(data, about) else State(GONE, f"{about.name} is not there")


def _declared(about: About, data: bytes) -> State:
    found = _values(data, about)
    if not found:
        return State(GONE, f"{about.name} is not there")
    if any(code_values.same(str(about.value), one) for one in found):
        return State(FRESH)
    now: Sequence[str] = [" ".join(one.split())[:80] for one in found if one]
    return State(CHANGED, f"{about.name} is {now[-1]}" if now else f"{about.name} has no value")
