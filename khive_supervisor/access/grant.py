"""What one session, command or client may do; decided once, when it is passed on, and carried.

Pure. Two grants are put together by taking what both allow: nothing that is learned later about
who is asking ever widens what was granted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from khive_supervisor.control.requests import GrantData
from khive_supervisor.errors import Denied


class Audience(StrEnum):
    """Whom a verb is for; an operator may call those of agents, too."""

    AGENT = "agent"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Grant:
    """What whoever asks may do.

    Attributes:
        audience: whose verbs may be called.
        namespaces: the only namespaces that exist for a confined session; None: it is not
            confined. None of them are left when two confinements contradict each other.
        owners: the sessions whose tasks are its own besides those of the session itself; what it
            assigns is the first one's.
        home: the namespace of calls that name none, unless the session names one itself.
    """

    audience: Audience = Audience.AGENT
    namespaces: tuple[str, ...] | None = None
    owners: tuple[str, ...] = ()
    home: str = ""

    @property
    def operator(self) -> bool:
        """Return True if verbs of operators may be called."""
        return self.audience is Audience.OPERATOR

    @property
    def confined(self) -> bool:
        """Return True if there are namespaces that do not exist for it."""
        return self.namespaces is not None

    def admits(self, namespace: str) -> bool:
        """Return True if a namespace exists for it; the configuration may still forbid it."""
        return self.namespaces is None or namespace in self.namespaces

    def narrowed(self, other: Grant) -> Grant:
        """Return what both allow; it stays this one's in all that says who is asking."""
        both = self.operator and other.operator
        return replace(
            self,
            audience=Audience.OPERATOR if both else Audience.AGENT,
            namespaces=_common(self.namespaces, other.namespaces),
            home=self.home or other.home,
        )

    def as_dict(self) -> GrantData:
        """Plain data that JSON can carry."""
        return {
            "audience": self.audience.value,
            "namespaces": None if self.namespaces is None else list(self.namespaces),
            "owners": list(self.owners),
            "home": self.home,
        }


#: An agent's session that is not confined: what whoever is not known otherwise gets.
AGENT = Grant()
#: A person at a terminal, or a program of theirs.
OPERATOR = Grant(Audience.OPERATOR)


def check_operator(grant: Grant, what: str) -> None:
    """Refuse whoever is no operator.

    Raises:
        Denied: an agent, a task or a confined session is above whoever asks.
    """
    if not grant.operator:
        raise Denied(
            f"{what} is an operator's, and an agent has started this command.",
            hint="Run it in a terminal of your own.",
        )


def confined_to(namespace: str) -> Grant:
    """Return an agent's grant in one namespace; never an operator's, who would look after all."""
    return Grant(namespaces=(namespace,), home=namespace)


def united(grants: Iterable[Grant]) -> Grant | None:
    """Return what several allow together, for who has all of them anyway; None without any."""
    found = list(grants)
    if not found:
        return None
    free = any(not one.confined for one in found)
    names = dict.fromkeys(name for one in found for name in one.namespaces or ())
    return Grant(
        Audience.OPERATOR if any(one.operator for one in found) else Audience.AGENT,
        None if free else tuple(names),
        tuple(dict.fromkeys(owner for one in found for owner in one.owners)),
        found[0].home,
    )


def from_dict(data: GrantData | Mapping[str, Any] | None) -> Grant:
    """Return the grant that plain data stands for; an agent's for none."""
    if data is None:
        return AGENT
    namespaces = data["namespaces"]
    return Grant(
        Audience(data["audience"]),
        None if namespaces is None else tuple(namespaces),
        tuple(data["owners"]),
        str(data["home"]),
    )


def _common(one: tuple[str, ...] | None, other: tuple[str, ...] | None) -> tuple[str, ...] | None:
    if one is None or other is None:
        return other if one is None else one
    return tuple(name for name in one if name in other)
