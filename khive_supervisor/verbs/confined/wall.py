"""What is refused to a confined session: all that no class here defines."""

from __future__ import annotations

from typing import Any

from khive_supervisor.access.grant import Grant
from khive_supervisor.errors import Denied


def refused(what: str) -> Denied:
    """Return the error of what is about all namespaces."""
    return Denied(
        f"{what} is about all namespaces, and this session is confined.",
        hint="The user can look in a terminal that no agent has started.",
    )


def check(grant: Grant, namespace: str) -> None:
    """Refuse a namespace that does not exist for a grant; raises Denied."""
    if not grant.admits(namespace):
        raise refused(f"The namespace {namespace[:80]!r}")


class Wall:
    """Whatever a class of this kind does not define is refused, by its name."""

    _NAME = "store"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise refused(f"{self._NAME}.{name}")
