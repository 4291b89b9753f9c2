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
        self, what: str, ids: Sequence[int], new: Sequence[NewEntry] = ()
    ) -> Iterator[None]:
        with self._database.write():
            highest = self._entries.highest_id()
            twins = [self._entries.deleted_id(entry.content_hash) for entry in new]
            before = self._states([*ids, *(one for one in twins if one is not None)])
            yield
            after = {**self._states(before), **self._states_above(highest)}
            changed = {one: state for one, state in after.items() if state != before.get(one)}
            if changed:
                self._note(what, before, changed)

    def _states(self, ids: Iterable[int]) -> dict[int, str]:
        return self._found(f"id IN ({_GIVEN})", json.dumps(list(ids)))

    def _states_above(self, highest: int) -> dict[int, str]:
        return self._found("id > ?", highest)

    def _found(self, condition: str, value: Value) -> dict[int, str]:
        rows = self._database.rows(
            f"SELECT id, {_SELECTED} FROM entries WHERE {condition}", [value]
        )
        return {row[0]: json.dumps(dict(zip(_COLUMNS, row[1:], strict=True))) for row in rows}

    def _note(self, what: str, before: States, changed: States) -> None:
        change = self._database.insert(
            "change_log", at=self._clock(), what=what, actor=self._actor()
        )
        for entry, state in changed.items():
            self._database.insert(
                "entry_states", change_id=change, entry_id=entry,
                before=before.get(entry), after=state,
            )  # fmt: skip
        for sql in (
            "DELETE FROM entry_states WHERE change_id <= ?",
            "DELETE FROM change_log WHERE id <= ?",
        ):
            self._database.rows(sql, [change - KEPT])

    def recent(self, limit: int = 20, actor: str | None = None) -> list[EntryChange]:
        return self._changes("actor = ifnull(?, actor) ORDER BY id DESC LIMIT ?", [actor, limit])

    def _changes(self, condition: str, bindings: Sequence[Value]) -> list[EntryChange]:
        rows = self._database.rows(
            "SELECT id, at, what, actor, undone_at, (SELECT json_group_array(entry_id) FROM "
            f"entry_states WHERE change_id = id) FROM change_log WHERE {condition}",
            bindings,
        )
        return [
            EntryChange(number, at, what, actor, undone, tuple(json.loads(entries)))
            for number, at, what, actor, undone, entries in rows
        ]

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
            self._database.update("change_log", change_id, undone_at=self._clock())
            return next(iter(self._changes("id = ?", [change_id])))

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
