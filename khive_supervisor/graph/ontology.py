"""Each kind of link: what it says, and what may stand at its ends. Pure.

Declared once, here; what may be linked, the words of a refusal, verbs, commands and documentation
are made of it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from khive_supervisor.errors import InvalidInput

MEMORY, KNOWLEDGE, EXECUTION = COLLECTIONS = ("memory", "knowledge", "execution")
_ANY = frozenset(COLLECTIONS)
_TEXTS = frozenset((MEMORY, KNOWLEDGE))
_EXECUTIONS = frozenset((EXECUTION,))
#: What entries of a collection are called in a sentence.
NAMES = {MEMORY: "a memory", KNOWLEDGE: "knowledge", EXECUTION: "an execution"}

SUPERSEDES = "supersedes"
CONTRADICTS = "contradicts"
SAME_AS = "same_as"
ABOUT = "about"
DERIVED_FROM = "derived_from"
DEPENDS_ON = "depends_on"
PRODUCED = "produced"
CAUSED_BY = "caused_by"
RETRY_OF = "retry_of"
FOLLOWS = "follows"


@dataclass(frozen=True, slots=True)
class LinkKind:
    """One kind of link; it is read "from `name` to".

    Attributes:
        inverse: its name as read from its other end.
        meaning: what it says, as the end of a sentence that begins with the entry it is from.
        starts: the collections of which an entry may be where it begins.
        ends: those of which one may be where it leads.
        alike: both ends are of one collection.
        symmetric: it says the same from either end, so the two are linked once.
        acyclic: no entry can be reached from itself along links of this kind.
        by_superseding: it is made by superseding an entry, and by nothing else.
    """

    name: str
    inverse: str
    meaning: str
    starts: frozenset[str] = _ANY
    ends: frozenset[str] = _ANY
    alike: bool = False
    symmetric: bool = False
    acyclic: bool = False
    by_superseding: bool = False

    def fits(self, start: str, end: str) -> bool:
        """Return True if entries of these collections can be linked so."""
        return start in self.starts and end in self.ends and (start == end or not self.alike)

    @property
    def signature(self) -> str:
        """Return what can stand at its ends, in words."""
        between = f"{_named(self.starts)} to {_named(self.ends)}"
        return f"{between} (both alike)" if self.alike else between


def _named(collections: Collection[str]) -> str:
    return " or ".join(NAMES[one] for one in COLLECTIONS if one in collections)


_DECLARED = (
    LinkKind(SUPERSEDES, "superseded_by", "has taken the place of it", _TEXTS, _TEXTS, alike=True,
             acyclic=True, by_superseding=True),
    LinkKind(CONTRADICTS, CONTRADICTS, "says otherwise", _TEXTS, _TEXTS, symmetric=True),
    LinkKind(SAME_AS, SAME_AS, "says the same", _TEXTS, _TEXTS, symmetric=True),
    LinkKind(ABOUT, "described_by", "speaks of it", _ANY, _TEXTS),
    LinkKind(DERIVED_FROM, "source_of", "was made of it", acyclic=True),
    LinkKind(DEPENDS_ON, "needed_by", "holds or works only while that does", acyclic=True),
    LinkKind(PRODUCED, "produced_by", "has brought it forth", _EXECUTIONS, _TEXTS),
    LinkKind(CAUSED_BY, "caused", "came about through it", frozenset((MEMORY, EXECUTION)),
             acyclic=True),
    LinkKind(RETRY_OF, "retried_by", "is another attempt at the same task", _EXECUTIONS,
             _EXECUTIONS, acyclic=True),
    LinkKind(FOLLOWS, "followed_by", "was done after it, and waited for it", _EXECUTIONS,
             _EXECUTIONS, acyclic=True),
)  # fmt: skip

#: All kinds, by name.
ONTOLOGY: Mapping[str, LinkKind] = MappingProxyType({kind.name: kind for kind in _DECLARED})
#: The names of the kinds, those first that stores of the first release know.
KINDS: tuple[str, ...] = tuple(ONTOLOGY)
#: Each kind by its inverse name, where that is another one.
INVERSES: Mapping[str, LinkKind] = MappingProxyType(
    {kind.inverse: kind for kind in _DECLARED if not kind.symmetric}
)
#: All names by which links can be asked for: each kind from either end.
READINGS: tuple[str, ...] = (*KINDS, *INVERSES)


def kind_of(name: str) -> LinkKind:
    """Return the kind of a name.

    Raises:
        InvalidInput: there is none; it names those that there are.
    """
    kind = ONTOLOGY.get(name)
    if kind is None:
        raise InvalidInput(
            f"There is no kind of link {name[:80]!r}.",
            hint=_turned(name) or f"There are: {', '.join(KINDS)}.",
        )
    return kind


def _turned(name: str) -> str:
    inverse = INVERSES.get(name)
    return f"Exchange the ends and say {inverse.name}." if inverse is not None else ""


def sides(readings: Collection[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the kinds that are followed from where they begin, and those from where they lead.

    `depends_on` is followed from its beginning, `needed_by` is the same kind from its end; nothing
    asked for is everything, either way.

    Raises:
        InvalidInput: there is no such name; it names those that there are.
    """
    if not readings:
        return KINDS, KINDS
    for name in readings:
        if name not in READINGS:
            raise InvalidInput(
                f"There is no kind of link {name[:80]!r}.",
                hint=f"There are: {', '.join(READINGS)}.",
            )
    leaving = tuple(kind.name for kind in _DECLARED if kind.name in readings)
    entering = tuple(kind.name for kind in _DECLARED if kind.inverse in readings)
    return leaving, entering


def reading(kind: str, *, forwards: bool) -> str:
    """Return what a kind is called from where it begins, or else from where it leads."""
    declared = ONTOLOGY.get(kind)
    return kind if forwards or declared is None else declared.inverse


def kinds_between(start: str, end: str) -> tuple[str, ...]:
    """Return the kinds by which people may link entries of two collections."""
    return tuple(
        kind.name for kind in _DECLARED if kind.fits(start, end) and not kind.by_superseding
    )


def check(kind: LinkKind, start: str, end: str) -> None:
    """Refuse a link between entries of two collections that its kind cannot have.

    Raises:
        InvalidInput: it cannot be; the hint names the kinds that can.
    """
    if kind.fits(start, end):
        return
    right = kinds_between(start, end)
    raise InvalidInput(
        f"{kind.name} leads from {kind.signature}, and not from {NAMES.get(start, start)} to "
        f"{NAMES.get(end, end)}.",
        hint=f"From {NAMES.get(start, start)} to {NAMES.get(end, end)} there can be: "
        f"{', '.join(right) or 'no link'}.",
    )
