"""Projects: their numbers by marks, families of merged ones, and the moving of entries."""

# ruff: noqa: S608 - statements are put together from this module's constants; values are bound
from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace

from khive_supervisor.errors import NotFound
from khive_supervisor.projects.identity import ProjectIdentity, base_of, folder_of
from khive_supervisor.sqlite.engine.database import Database
from khive_supervisor.sqlite.entries.conditions import live
from khive_supervisor.sqlite.entries.rows import as_new
from khive_supervisor.sqlite.entries.table import EntryTable
from khive_supervisor.store.model import EntryFilter
from khive_supervisor.store.projects import ProjectFamily, ProjectRow, ProjectStore

_GIVEN = "SELECT value FROM json_each(?)"
#: The project that a row is, or has become a part of.
_ROOT = "ifnull(merged_into, id)"
#: What follows `#` in the order of characters: marks of parts begin with a whole's and that.
_AFTER_PART = "$"


class ProjectTable(ProjectStore):
    """`ProjectStore` on SQLite."""

    def __init__(self, database: Database, entries: EntryTable, clock: Callable[[], float]) -> None:
        self._database = database
        self._entries = entries
        self._clock = clock

    # --- finding --------------------------------------------------------------------------------

    def find(self, identity: ProjectIdentity) -> ProjectFamily | None:
        number = self._number(identity)
        return None if number is None else self.family(number)

    def _number(self, identity: ProjectIdentity) -> int | None:
        """Return the project, not yet its family's, that has a mark; also by a joined whole's."""
        found = self._marked(identity.own, identity.node)
        if found is None and identity.own != identity.base:
            _, name = base_of(identity.own)
            whole = self._marked(identity.base, identity.node)
            return None if whole is None else self._part(whole, name)
        return found

    def _marked(self, mark: str, node: str) -> int | None:
        """Return the project of a mark; None as well if another repository has taken its place.

        A folder that has become a repository stays the project that it was.
        """
        found: int | None = self._database.value(
            f"SELECT {_ROOT} FROM projects WHERE id = (SELECT project_id FROM project_marks "
            "WHERE (mark = ?1 AND node = ?2) OR (mark = ?3 AND NOT EXISTS "
            "(SELECT 1 FROM project_marks WHERE mark = ?1)))",
            [mark, node, folder_of(mark)],
        )
        return found

    def _part(self, whole: int, name: str) -> int | None:
        """Return the part of a family's whole that a name stands for, whichever member has it."""
        found: int | None = self._database.value(
            f"SELECT {_ROOT} FROM projects WHERE id IN (SELECT part.project_id FROM project_marks "
            "AS own JOIN project_marks AS part ON part.mark = 'file:' || own.mark || '#' || ? "
            f"WHERE own.project_id IN (SELECT id FROM projects WHERE {_ROOT} = ?)) "
            "ORDER BY id LIMIT 1",
            [name, whole],
        )
        return found

    def family(self, project_id: int) -> ProjectFamily | None:
        rows = self._database.rows(
            f"SELECT id, name FROM projects WHERE {_ROOT} = "
            f"(SELECT {_ROOT} FROM projects WHERE id = ?) "
            "ORDER BY merged_into IS NOT NULL, id",
            [project_id],
        )
        return ProjectFamily(tuple(row[0] for row in rows), rows[0][1]) if rows else None

    def named(self, name: str) -> list[ProjectFamily]:
        wanted = name.casefold()
        rows = self._database.rows("SELECT id, name FROM projects WHERE merged_into IS NULL")
        found = (self.family(number) for number, one in rows if one.casefold() == wanted)
        return [family for family in found if family is not None]

    def names(self, ids: Iterable[int]) -> dict[int, str]:
        return dict(
            self._database.rows(
                "SELECT own.id, root.name FROM projects AS own JOIN projects AS root "
                f"ON root.id = ifnull(own.merged_into, own.id) WHERE own.id IN ({_GIVEN})",
                [json.dumps(list(ids))],
            )
        )

    def all(self) -> list[ProjectRow]:
        return self._rows("TRUE ORDER BY id")

    def _rows(self, condition: str) -> list[ProjectRow]:
        rows = self._database.rows(
            "SELECT id, name, merged_into, created_at, (SELECT json_group_array(mark) FROM "
            "(SELECT mark FROM project_marks WHERE project_id = projects.id ORDER BY mark)) "
            f"FROM projects WHERE {condition}"
        )
        return [
            ProjectRow(number, name, merged, created, tuple(json.loads(marks)))
            for number, name, merged, created, marks in rows
        ]

    def counts(self, where: EntryFilter) -> Mapping[int | None, int]:
        sql, bindings = live(where, many=True)
        return dict(
            self._database.rows(
                f"SELECT project_id, count(*) FROM entries WHERE {sql} GROUP BY project_id",
                bindings,
            )
        )

    # --- changing -------------------------------------------------------------------------------

    def ensure(self, identity: ProjectIdentity) -> int:
        found = self._number(identity)
        if found is not None and not self._is_unmarked(identity.base):
            return found
        with self._database.write():
            found = self._number(identity)  # another process may have been quicker
            if found is not None:
                self._mark_repository(identity)
            else:
                if identity.own != identity.base:
                    self._ensure_whole(identity)
                found = self._insert(identity.own, identity.node, identity.name)
                if identity.own == identity.base:
                    self._note_candidates(found, identity)
            return found

    def _is_unmarked(self, mark: str) -> bool:
        """Return True for a repository that was a folder when something was stored for it."""
        if not folder_of(mark):
            return False
        sql = "SELECT 1 FROM project_marks WHERE mark = ?"
        return self._database.value(sql, [mark]) is None

    def _mark_repository(self, identity: ProjectIdentity) -> None:
        """Give the project of a folder the mark of the repository that is in it now."""
        whole = self._marked(identity.base, identity.node)
        if whole is not None and self._is_unmarked(identity.base):
            self._mark(identity.base, identity.node, whole)
            self._note_candidates(whole, identity)

    def _ensure_whole(self, identity: ProjectIdentity) -> None:
        if self._marked(identity.base, identity.node) is None:
            name = identity.base.rstrip("/").removesuffix("/.git").rpartition("/")[2]
            whole = self._insert(identity.base, identity.node, name or identity.name)
            self._note_candidates(whole, identity)

    def _insert(self, mark: str, node: str, name: str) -> int:
        number = self._database.insert("projects", name=name, created_at=self._clock())
        self._mark(mark, node, number)
        return number

    def _mark(self, mark: str, node: str, project_id: int) -> None:
        """Give a mark to a project, also if another repository had it before at the same path."""
        self._database.rows(
            "INSERT OR REPLACE INTO project_marks VALUES (?, ?, ?)", [mark, node, project_id]
        )

    def _note_candidates(self, project_id: int, identity: ProjectIdentity) -> None:
        """Note what other projects may have, too: also the path, where another one may follow."""
        for candidate in self._candidates(identity):
            self._database.rows(
                "INSERT OR IGNORE INTO project_candidates VALUES (?, ?)", [candidate, project_id]
            )

    def _candidates(self, identity: ProjectIdentity) -> list[str]:
        through = self._database.gate.written  # the address of a remote may have a token in it
        return [through(one) for one in (identity.base, *identity.candidates)]

    def rename(self, project_id: int, name: str) -> None:
        with self._database.write():
            self._existing(project_id)
            self._database.update("projects", project_id, name=name)

    def _existing(self, project_id: int) -> ProjectFamily:
        found = self.family(project_id)
        if found is None:
            raise NotFound(f"There is no project p{project_id}.", hint="`projects` lists them.")
        return found

    def merge(self, into: int, other: int) -> None:
        with self._database.write():
            kept, gone = self._existing(into), self._existing(other)
            if kept.ids[0] == gone.ids[0]:
                return
            self._database.rows(
                f"UPDATE projects SET merged_into = ? WHERE id IN ({_GIVEN})",
                [kept.ids[0], json.dumps(gone.ids)],
            )

    def move(self, ids: Iterable[int], project_id: int | None) -> list[int]:
        moved = []
        with self._database.write():
            target = None if project_id is None else self._existing(project_id).ids[0]
            for entry in self._entries.get(list(dict.fromkeys(ids))):
                if not entry.live or entry.project == target:
                    continue
                hashed = replace(as_new(entry), project=target).content_hash
                if self._entries.live_id(hashed) is not None:
                    continue
                # Naming deleted_at has the trigger count it: what is kept elsewhere is old now.
                self._database.update(
                    "entries", entry.id,
                    project_id=target, content_hash=hashed, updated_at=self._clock(),
                    deleted_at=None,
                )  # fmt: skip
                moved.append(entry.id)
        return moved

    # --- what joins projects by themselves ----------------------------------------------------

    def unconfirmed(self, limit: int) -> list[ProjectRow]:
        return self._rows(
            "roots_at IS NULL AND id IN (SELECT project_id FROM project_marks "
            f"WHERE mark >= 'git:' AND mark < 'git;') ORDER BY id LIMIT {int(limit)}"
        )

    def note_roots(self, project_id: int, roots: Collection[str]) -> None:
        with self._database.write():
            self._database.update("projects", project_id, roots_at=self._clock())
            for root in roots:
                self._database.rows(
                    "INSERT OR IGNORE INTO project_roots VALUES (?, ?)", [project_id, root]
                )

    def without_roots(self, identity: ProjectIdentity) -> int | None:
        own = self._marked(identity.base, identity.node)
        if own is None or self._database.value(
            "SELECT 1 FROM project_roots WHERE project_id IN "
            f"(SELECT id FROM projects WHERE {_ROOT} = ?) LIMIT 1",
            [own],
        ):
            return None
        return own

    def note_candidates(self, identity: ProjectIdentity) -> None:
        own = self._marked(identity.base, identity.node)
        if own is None:
            return
        known = self._database.value(
            f"SELECT count(DISTINCT mark) FROM project_candidates WHERE mark IN ({_GIVEN}) "
            f"AND project_id IN (SELECT id FROM projects WHERE {_ROOT} = ?)",
            [json.dumps(candidates := self._candidates(identity)), own],
        )
        if known < len(candidates):
            with self._database.write():
                self._note_candidates(own, identity)

    def joinable(self, identity: ProjectIdentity) -> list[tuple[int, frozenset[str]]]:
        own = self._marked(identity.base, identity.node)
        rows = self._database.rows(
            f"SELECT DISTINCT {_ROOT}, root FROM project_candidates AS candidate "
            "JOIN projects ON projects.id = candidate.project_id "
            "JOIN project_roots AS roots ON roots.project_id = projects.id "
            f"WHERE candidate.mark IN ({_GIVEN}) ORDER BY 1",
            [json.dumps(self._candidates(identity))],
        )
        found: dict[int, set[str]] = {}
        for number, root in rows:
            if number != own:
                found.setdefault(number, set()).add(root)
        return [(number, frozenset(roots)) for number, roots in found.items()]

    def join(self, identity: ProjectIdentity, project_id: int) -> None:
        with self._database.write():
            kept = self._existing(project_id).ids[0]
            own = self._marked(identity.base, identity.node)
            if own is None:
                self._mark(identity.base, identity.node, kept)
            elif own != kept:
                self._mark_repository(identity)
                self.merge(kept, own)
            self._note_candidates(kept, identity)
            self._join_parts(kept, identity.base)

    def _join_parts(self, kept: int, base: str) -> None:
        """Merge the parts of a whole that joined into those of the same names."""
        parts = self._database.rows(
            "SELECT mark, project_id FROM project_marks WHERE mark > ? AND mark < ?",
            [f"file:{base}#", f"file:{base}{_AFTER_PART}"],
        )
        for mark, number in parts:
            other = self._part(kept, base_of(mark)[1])
            if other is not None and other != number:
                self.merge(other, number)
