"""The log of changes: how entries were before each, and how it left them."""

# ruff: noqa: S608 - statements are put together from this package's constants; values are bound
from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from khive_supervisor.errors import InvalidInput, NotFound
from khive_supervisor.sqlite.engine.database import Database, Value
from khive_supervisor.sqlite.entries.table import EntryTable
from khive_supervisor.store.curation import ChangeLog, EntryChange
from khive_supervisor.store.model import NewEntry

#: Changes that are kept.
KEPT = 200
#: What a change can touch of an entry; a content hash is written in hexadecimal digits.
_COLUMNS = (
    "deleted_at",
    "superseded_by",
    "pinned_at",
    "tags",
    "kind",
    "salience",
    "content_hash",
    "project_id",
)
_SELECTED = ", ".join(f"hex({c})" if c == "content_hash" else c for c in _COLUMNS)
_GIVEN = "SELECT value FROM json_each(?)"

#: What stands between the name of a change of projects and, as JSON, how they were and are.
_PROJECTS = " of projects "

#: By their numbers, the names of projects, and what they are a part of.
ProjectStates = dict[str, list[str | int | None]]

#: How an entry is, as JSON of the columns above.
States = Mapping[int, str]


class ChangeTable(ChangeLog):
    """`ChangeLog` on SQLite."""

    def __init__(
        self,
        database: Database,
        entries: EntryTable,
        clock: Callable[[], float],
        actor: Callable[[], str],
    ) -> None:
        self._database = database
        self._entries = entries
        self._clock = clock
        self._actor = actor

    @contextmanager
    def recorded(
        self, what: str, ids: Sequence[int], new: Sequence[NewEntry] = (), onto: str = ""
    ) -> Iterator[None]:
        with self._database.write():
            highest = self._entries.highest_id()
            twins = [self._entries.deleted_id(entry.content_hash) for entry in new]
            before = self._states([*ids, *(one for one in twins if one is not None)])
            yield
            after = {**self._states(before), **self._states_above(highest)}
            changed = {one: state for one, state in after.items() if state != before.get(one)}
            if changed:
                self._note(what, before, changed, onto)

    def _states(self, ids: Iterable[int]) -> dict[int, str]:
        return self._found(f"id IN ({_GIVEN})", json.dumps(list(ids)))

    def _states_above(self, highest: int) -> dict[int, str]:
        return self._found("id > ?", highest)

    def _found(self, condition: str, value: Value) -> dict[int, str]:
        rows = self._database.rows(
            f"SELECT id, {_SELECTED} FROM entries WHERE {condition}", [value]
        )
        return {row[0]: json.dumps(dict(zip(_COLUMNS, row[1:], strict=True))) for row in rows}

    def _note(self, what: str, before: States, changed: States, onto: str) -> None:
        change = self._going_on(onto, what) if onto else None
        if change is None:
            change = self._new_change(what)
        for entry, state in changed.items():
            self._database.rows(
                "INSERT INTO entry_states VALUES (?, ?, ?, ?) "
                "ON CONFLICT (change_id, entry_id) DO UPDATE SET after = excluded.after",
                [change, entry, before.get(entry), state],
            )

    def _going_on(self, onto: str, what: str) -> int | None:
        """Return the change that another one becomes a part of; it has the name of both then."""
        newest = next(iter(self.recent(1, self._actor())), None)
        if newest is None or newest.what != onto or newest.undone_at is not None:
            return None
        self._database.update("change_log", newest.id, what=what)
        return newest.id

    def _new_change(self, what: str) -> int:
        change = self._database.insert(
            "change_log", at=self._clock(), what=what, actor=self._actor()
        )
        for sql in (
            "DELETE FROM entry_states WHERE change_id <= ?",
            "DELETE FROM change_log WHERE id <= ?",
        ):
            self._database.rows(sql, [change - KEPT])
        return change

    @contextmanager
    def recorded_projects(self, what: str, ids: Sequence[int]) -> Iterator[None]:
        with self._database.write():
            before = self._projects(ids)
            yield
            after = self._projects(ids)
            changed = {one: [before[one], after[one]] for one in after if after[one] != before[one]}
            if changed:
                self._new_change(f"{what}{_PROJECTS}{json.dumps(changed, ensure_ascii=False)}")

    def _projects(self, ids: Iterable[int]) -> ProjectStates:
        rows = self._database.rows(
            f"SELECT id, name, merged_into FROM projects WHERE id IN ({_GIVEN})",
            [json.dumps(list(ids))],
        )
        return {str(number): [name, merged_into] for number, name, merged_into in rows}

    def recent(self, limit: int = 20, actor: str | None = None) -> list[EntryChange]:
        return self._changes("actor = ifnull(?, actor) ORDER BY id DESC LIMIT ?", [actor, limit])

    def _changes(self, condition: str, bindings: Sequence[Value]) -> list[EntryChange]:
        rows = self._database.rows(
            "SELECT id, at, what, actor, undone_at, (SELECT json_group_array(entry_id) FROM "
            f"entry_states WHERE change_id = id) FROM change_log WHERE {condition}",
            bindings,
        )
        return [
            EntryChange(
                number, at, _name(what), actor, undone, tuple(json.loads(entries)),
                tuple(int(one) for one in _of_projects(what)),
            )
            for number, at, what, actor, undone, entries in rows
        ]  # fmt: skip

    def undo(self, change_id: int) -> EntryChange:
        with self._database.write():
            change = next(iter(self._changes("id = ?", [change_id])), None)
            if change is None:
                raise NotFound(f"There is no change {change_id}.")
            if change.undone_at is not None:
                raise InvalidInput("That change was undone already.")
            rows = self._database.rows(
                "SELECT entry_id, before, after FROM entry_states WHERE change_id = ?", [change_id]
            )
            self._check_untouched({entry: after for entry, _, after in rows})
            self._put_back({entry: before for entry, before, _ in rows})
            self._part_from_origins([entry for entry, before, _ in rows if before is None])
            self._put_back_projects(change_id)
            self._database.update("change_log", change_id, undone_at=self._clock())
            return next(iter(self._changes("id = ?", [change_id])))

    def _part_from_origins(self, gone: Sequence[int]) -> None:
        """Forget where entries came from that are not here any more: they may be imported again."""
        self._database.rows(
            f"DELETE FROM origins WHERE kind = 'entry' AND here IN ({_GIVEN})", [json.dumps(gone)]
        )

    def _put_back_projects(self, change_id: int) -> None:
        sql = "SELECT what FROM change_log WHERE id = ?"
        changed = _of_projects(self._database.value(sql, [change_id]))
        now = self._projects(int(one) for one in changed)
        if any(now.get(one) != after for one, (_, after) in changed.items()):
            raise InvalidInput(
                "It cannot be undone: the projects changed again since then.",
                hint="Undo what came after first, or name them with `projects rename`.",
            )
        for one, ((name, merged_into), _) in changed.items():
            self._database.update("projects", int(one), name=name, merged_into=merged_into)

    def _check_untouched(self, left: States) -> None:
        """Refuse to overwrite what was done after a change."""
        now = self._states(left)
        touched = [entry for entry, state in left.items() if now.get(entry) != state]
        if touched:
            raise InvalidInput(
                f"It cannot be undone: {self._named(touched)} changed again since then.",
                hint="Undo what came after first, or mend each entry by itself.",
            )

    def _named(self, ids: Sequence[int]) -> str:
        letters = {entry.id: entry.collection[0] for entry in self._entries.get(ids[:5])}
        names = [f"{letters.get(one, 'm')}{one}" for one in ids[:5]]
        return ", ".join(names) + (" and others" if len(ids) > 5 else "")

    def _put_back(self, before: Mapping[int, str | None]) -> None:
        """Let entries be as they were; those first that die by it, since texts live once only."""
        states = {entry: self._earlier(state) for entry, state in before.items()}
        lived = {entry.id for entry in self._entries.get([*states]) if entry.live}
        deaths_first = sorted(states, key=lambda entry: states[entry].get("deleted_at") is None)
        for entry in deaths_first:
            self._check_alone(entry, states[entry])
            self._database.update("entries", entry, **states[entry])
            self._entries.reindex(entry)
        live = {entry.id for entry in self._entries.get([*states]) if entry.live}
        for what, ids in (("restored", live - lived), ("forgotten", lived - live)):
            self._entries.tell_of_memories(sorted(ids), what, {"why": "undo"})

    def _earlier(self, state: str | None) -> dict[str, Value]:
        """Return the columns of an earlier state; what was not there then is forgotten now."""
        now = self._clock()
        if state is None:
            return {"deleted_at": now, "updated_at": now}
        columns: dict[str, Value] = json.loads(state)
        columns["content_hash"] = bytes.fromhex(str(columns["content_hash"]))
        return {**columns, "updated_at": now}

    def _check_alone(self, entry: int, state: Mapping[str, Value]) -> None:
        """Refuse to let a text live a second time."""
        digest = state.get("content_hash")
        if not isinstance(digest, bytes) or state["deleted_at"] or state["superseded_by"]:
            return
        twin = self._entries.live_id(digest)
        if twin not in (None, entry):
            raise InvalidInput(
                f"It cannot be undone: what {self._named([entry])} says was stored anew.",
                hint="Forget the new one first.",
            )


def _name(what: str) -> str:
    name, separator, _ = what.partition(_PROJECTS)
    return (name + separator).rstrip()


def _of_projects(what: str) -> dict[str, list[list[Value]]]:
    """Return how the projects of a change were and are; none for a change of entries."""
    found: dict[str, list[list[Value]]] = json.loads(what.partition(_PROJECTS)[2] or "{}")
    return found
