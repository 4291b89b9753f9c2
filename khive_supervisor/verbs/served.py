"""What a session was served of late: the entries, each with the recall that served it last."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

#: Served entries that a session remembers; the oldest are forgotten.
_REMEMBERED = 512


@dataclass(frozen=True, slots=True)
class Serve:
    """One recall: its own name, and the profile that ranked it."""

    name: str
    profile: str


class Served:
    """The entries that a session was served of late, each with the recall that served it last."""

    def __init__(self) -> None:
        self._by_entry: OrderedDict[int, Serve] = OrderedDict()

    def add(self, entries: Iterable[int], serve: Serve) -> None:
        """Note what a recall has served."""
        for entry in entries:
            self._by_entry.pop(entry, None)
            self._by_entry[entry] = serve
        while len(self._by_entry) > _REMEMBERED:
            self._by_entry.popitem(last=False)

    def take(self, entries: Iterable[int]) -> dict[int, Serve]:
        """Return those of the entries that were served; each serve of an entry is used once."""
        asked = dict.fromkeys(entries)
        return {one: self._by_entry.pop(one) for one in asked if one in self._by_entry}
