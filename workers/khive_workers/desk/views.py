"""All views: what each asks for, what it makes of it, and by which template."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from khive_workers.desk import memory, now
from khive_workers.desk.wishes import Page, Query, Reply, Wish


@dataclass(frozen=True, slots=True)
class View:
    """One view: pure functions of a query, of what came of its wishes, and of the time."""

    title: str
    template: str
    wishes: Callable[[Query], Sequence[Wish]]
    page: Callable[[Sequence[Reply], Query, float], Page]


BY_PATH = {
    "/": View("Now", "now.html", now.wishes, now.page),
    "/memory": View("Memory", "memory.html", memory.wishes, memory.page),
}
