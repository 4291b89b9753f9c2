"""What of a part of a change is applied: rows that are where they belong, and that can be here."""

from __future__ import annotations

from dataclasses import dataclass

import apsw

from khive_supervisor.sqlite.changes.splitting import PARTED_SINCE, ChangeSplitter, builder
from khive_supervisor.sqlite.schema.shared import BELONGS
from khive_supervisor.team.order import LoggedChange
from khive_supervisor.team.parts import UNDIVIDED, WHOLE, ChangePart, Rights

#: By how much the number of a new row may be higher than the last one that was given, where its
#: writer sees some namespaces only: they could use all numbers up that there are.
FARTHEST = 1_000_000


@dataclass(frozen=True, slots=True)
class AdmittedPart:
    """What is applied.

    Attributes:
        changes: the rows, as a changeset.
        tables: which tables they are of.
        entries: the entries whose words may be other ones now.
        written: the entries that got their text by it.
        purged: the entries that it removes for good.
        foreign: how many rows were left out, since they are of another namespace than the part.
    """

    changes: bytes
    tables: frozenset[str]
    entries: frozenset[int]
    written: tuple[int, ...]
    purged: tuple[int, ...] = ()
    foreign: int = 0


class PartAdmission:
    """Looks at parts before they are applied, by the database as it is then."""

    def __init__(self, splitter: ChangeSplitter) -> None:
        self._splitter = splitter

    def admitted(self, part: ChangePart, change: LoggedChange, rights: Rights) -> AdmittedPart:
        """Return what of a part is applied.

        Who may write to one namespace only could put rows of another one into its part: they are
        left out everywhere; so are rows of others' audit chains and messages, and numbers that are
        far away. Where something is hidden, what names it is left out. What is undivided was
        written by somebody who sees everything: the server lets nobody else.
        """
        found, kept, foreign, hidden = _Admitted(self._splitter), builder(), 0, 0
        if part.name == UNDIVIDED:
            for row in apsw.Changeset.iter(part.changes):
                found.take(row)
            return found.part(part.changes)
        self._splitter.read(part.changes)
        for row in apsw.Changeset.iter(part.changes):
            if not self._may_be(row, part.name, change):
                foreign += 1
            elif not rights.full and self._names_hidden(row):
                hidden += 1
            else:
                kept.add_change(row)
                found.take(row)
        changes = kept.output() if foreign or hidden else part.changes
        return found.part(changes, foreign)

    def _may_be(self, row: apsw.TableChange, name: str, change: LoggedChange) -> bool:
        """Return whether a row may be in a part, by who has written it."""
        if change.schema >= PARTED_SINCE and not self._belongs(row, name):
            return False
        return not change.partial or self._own(row, name, change.node)

    def _belongs(self, row: apsw.TableChange, name: str) -> bool:
        return row.name in BELONGS and self._splitter.part_of(row) == name

    def _own(self, row: apsw.TableChange, name: str, node: str) -> bool:
        """Return whether a row is one that somebody may write who sees some namespaces only.

        What is here already counts, and not what the change says of it.
        """
        if name == WHOLE and BELONGS[row.name].audit:
            return row.name == "audit_of_nodes" and self._splitter.value(row, "origin") == node
        if row.op != "INSERT":
            return self._splitter.part_there(row) in (None, name)
        if self._splitter.part_there(row) is not None:
            return False  # and whose it is stays as it was
        for table, id_ in list(self._splitter.named(row))[:1]:
            if self._splitter.part_of_there(table, id_) not in (None, name):
                return False
        at = self._splitter.value(row, "id")
        return not isinstance(at, int) or at <= self._splitter.last(row.name) + FARTHEST

    def _names_hidden(self, row: apsw.TableChange) -> bool:
        """Return whether a new row names one that is not here."""
        if row.op != "INSERT" or len(BELONGS[row.name].names) < 2:
            return False
        return not all(self._splitter.has(*named) for named in self._splitter.named(row))


class _Admitted:
    """What is seen of the rows that are applied, as they are gone through."""

    def __init__(self, splitter: ChangeSplitter) -> None:
        self._splitter = splitter
        self._tables, self._entries = set[str](), set[int]()
        self._written, self._purged = list[int](), list[int]()

    def take(self, row: apsw.TableChange) -> None:
        """Note one row."""
        self._tables.add(row.name)
        if row.name == "entries":
            self._entries.add(id_ := self._splitter.entry(row))
            if self._splitter.gives_text(row):
                self._written.append(id_)
            if self._splitter.purged(row):
                self._purged.append(id_)

    def part(self, changes: bytes, foreign: int = 0) -> AdmittedPart:
        """Return all that was noted."""
        return AdmittedPart(
            changes, frozenset(self._tables), frozenset(self._entries), tuple(self._written),
            tuple(self._purged), foreign,
        )  # fmt: skip
