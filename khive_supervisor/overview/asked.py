"""What a view asks for, and what it is given: answers of verbs, and the supervisor's status."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from khive_supervisor.text.plain_json import JsonObject

#: A request's query or form: the last value of each name, without empty ones.
Query = Mapping[str, str]
#: What a template or a screen is given.
Page = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wish:
    """One question: a verb with its arguments; an operator of the user's asks it.

    Attributes:
        project: the project that is asked in, by its name; empty: in none.
        supervisor: whether the name is an operation of the supervisor itself.
        lasts: whether an answer that is a moment old will do.
        verb: its name; empty: nothing is asked, which fails without a word.
    """

    verb: str
    args: JsonObject = field(default_factory=dict)
    project: str = ""
    supervisor: bool = False
    lasts: bool = False


STATUS = Wish("status", supervisor=True)


@dataclass(frozen=True, slots=True)
class Failed:
    """Why a wish was not fulfilled, in words for people."""

    why: str


#: What came of a wish: JSON of a verb's answer, or of the supervisor's.
Reply = JsonObject | Failed


def told(reply: Reply, name: str) -> list[JsonObject]:
    """Return a list that a reply has; empty if it failed."""
    found = reply.get(name) if isinstance(reply, dict) else None
    return found if isinstance(found, list) else []
