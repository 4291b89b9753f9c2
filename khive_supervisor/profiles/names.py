"""What a profile may be called, and which lifecycle it may enter."""

from __future__ import annotations

import re

from khive_supervisor.errors import Denied, InvalidInput, NotFound

NAME_LIMIT = 64
_NAME = re.compile(r"[A-Za-z0-9-]+")

ACTIVE, INACTIVE, ARCHIVED = LIFECYCLES = ("active", "inactive", "archived")
#: From each lifecycle to those that it may become. # active <-> inactive -> archived
TRANSITIONS = {ACTIVE: (INACTIVE,), INACTIVE: (ACTIVE, ARCHIVED), ARCHIVED: ()}


def checked_name(text: str) -> str:
    """The name, trimmed.

    Raises:
        InvalidInput: it is empty, too long, or has other characters than it may.
    """
    name = text.strip()
    if len(name) <= NAME_LIMIT and _NAME.fullmatch(name):
        return name
    raise InvalidInput(
        f"{name[:NAME_LIMIT]!r} cannot be a profile's name.",
        hint=f"Use 1 to {NAME_LIMIT} letters (a-z), digits and hyphens, such as my-team-v2.",
    )


def check_transition(name: str, now: str, wanted: str, *, builtin: bool) -> bool:
    """Whether anything changes when a profile goes from one lifecycle to another.

    Raises:
        Denied: the built-in profile always serves.
        InvalidInput: there is no such way.
    """
    if now == wanted:
        return False
    if builtin:
        raise Denied(
            f"{name} serves whatever no binding names, so it stays active.",
            hint="Bind another profile; brain.reset takes this one back to its priors.",
        )
    if wanted in TRANSITIONS[now]:
        return True
    if now == ARCHIVED:
        raise InvalidInput(
            f"{name} is archived, and that is final.",
            hint="Create a new profile; seed_priors can start it where this one ended.",
        )
    raise InvalidInput(
        f"{name} is {now}; it cannot become {wanted} at once.",
        hint="Deactivate it first (brain.deactivate), so that nothing is served by it any more.",
    )


def missing(name: str) -> NotFound:
    """There is no profile of a name."""
    return NotFound(
        f"There is no profile {name[:NAME_LIMIT]!r}.",
        hint="brain.profiles lists them; brain.create_profile makes one.",
    )


def archived(name: str) -> Denied:
    """A profile that is archived learns and serves nothing."""
    return Denied(
        f"The profile {name} is archived: it serves and learns nothing any more.",
        hint="Name another one, or create a new profile.",
    )
