"""What of a part of a change is applied: rows that are where they belong, and that can be here."""

from __future__ import annotations

from dataclasses import dataclass

import apsw

from khive_supervisor.sqlite.schema.shared import BELONGS
from khive_supervisor.sqlite.team.splitting import PARTED_SINCE, ChangeSplitter, builder
from khive_supervisor.team.order import LoggedChange
from khive_supervisor.team.parts import ChangePart, Rights


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
        left out everywhere. Where something is hidden, what names it is left out.
        """
        kept, foreign, hidden = builder(), 0, 0
        tables, entries, written = set[str](), set[int](), list[int]()
        purged = list[int]()
        self._splitter.read(part.changes)
        for row in apsw.Changeset.iter(part.changes):
            if change.schema >= PARTED_SINCE and not self._belongs(row, part.name):
                foreign += 1
                continue
            if not rights.full and self._names_hidden(row):
                hidden += 1
                continue
            kept.add_change(row)
            tables.add(row.name)
            if row.name == "entries":
                entries.add(id_ := int(str(self._splitter.value(row, "id"))))
                if self._splitter.gives_text(row):
                    written.append(id_)
                if self._splitter.purged(row):
                    purged.append(id_)
        changes = kept.output() if foreign or hidden else part.changes
        return AdmittedPart(
            changes, frozenset(tables), frozenset(entries), tuple(written), tuple(purged), foreign
        )

    def _belongs(self, row: apsw.TableChange, name: str) -> bool:
        return row.name in BELONGS and self._splitter.part_of(row) == name

    def _names_hidden(self, row: apsw.TableChange) -> bool:
        """Return whether a new row names one that is not here."""
        if row.op != "INSERT" or len(BELONGS[row.name].names) < 2:
            return False
        return not all(self._splitter.has(*named) for named in self._splitter.named(row))
