"""What a view asks for, and what it is given: answers of verbs, and the supervisor's status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from khive_supervisor.text.plain_json import JsonObject

#: A request's query or form: the last value of each name, without empty ones.
Query = Mapping[str, str]
#: What a template is given.
Page = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wish:
    """One question: a verb with its arguments; an operator of the user's asks it.

    Attributes:
        project: the project that is asked in, by its name; empty: in none.
        supervisor: whether the name is an operation of the supervisor itself.
        verb: its name; empty: nothing is asked, which fails without a word.
    """

    verb: str
    args: JsonObject = field(default_factory=dict)
    project: str = ""
    supervisor: bool = False


STATUS = Wish("status", supervisor=True)
COUNTERS = Wish("counters", supervisor=True)
#: Questions that are no verbs: is the audit chain whole, and how full is the store's disk?
VERIFY, DISK = Wish("(verify)"), Wish("(disk)")


@dataclass(frozen=True, slots=True)
class Failed:
    """Why a wish was not fulfilled, in words for people."""

    why: str


#: What came of a wish: JSON of a verb's answer, or of the supervisor's.
Reply = JsonObject | Failed


class DeskBackend(Protocol):
    """Who fulfils wishes; the HTTP worker's service."""

    async def fulfil(self, wishes: Sequence[Wish]) -> list[Reply]:
        """Return what came of each, in order; never raises KhiveError."""
        ...

    async def login(self, ticket: str) -> bool:
        """Use a login's ticket up; return True if it was good."""
        ...

    async def token(self) -> object:
        """Return what is another value after every commit to the store."""
        ...


def told(reply: Reply, name: str) -> list[JsonObject]:
    """Return a list that a reply has; empty if it failed."""
    found = reply.get(name) if isinstance(reply, dict) else None
    return found if isinstance(found, list) else []


def problems(replies: Sequence[Reply]) -> list[str]:
    """Return why wishes were not fulfilled, each reason once; an empty one is none."""
    return list(dict.fromkeys(one.why for one in replies if isinstance(one, Failed) and one.why))
