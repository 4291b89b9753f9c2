"""Lists of entries, by any of their properties, and counts of them."""

# ruff: noqa: S608 - statements are put together from this package's constants; values are bound
from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from khive_supervisor.sqlite.engine.database import Database
from khive_supervisor.sqlite.entries import conditions
from khive_supervisor.sqlite.entries.conditions import Condition
from khive_supervisor.sqlite.entries.table import EntryTable
from khive_supervisor.sqlite.schema.released.statements import LIVE
from khive_supervisor.store import curation
from khive_supervisor.store.curation import (
    NEEDED,
    PINNED_STILL,
    USED_STILL,
    EntryList,
    FadedEntry,
    Fading,
    ListedEntry,
    Listing,
    Position,
)
from khive_supervisor.store.links import DEPENDS_ON
from khive_supervisor.store.model import EVERYTHING, Entry, EntryFilter

_STATES = {
    curation.LIVE: LIVE,
    curation.FORGOTTEN: "deleted_at IS NOT NULL AND superseded_by IS NULL AND purged_at IS NULL",
    curation.SUPERSEDED: "superseded_by IS NOT NULL",
    curation.PINNED: f"pinned_at IS NOT NULL AND {LIVE}",
    curation.ALL: "purged_at IS NULL",
}
#: When feedback last told of an entry; 0: never.
_USED = "ifnull(uses.at, 0)"
_AND_USES = """
    entries LEFT JOIN (
        SELECT entry_id, max(at) AS at FROM profile_events
        WHERE entry_id IS NOT NULL GROUP BY entry_id
    ) AS uses ON uses.entry_id = entries.id
"""
#: What is left of an entry's salience at a moment, as `search.ranking` has it.
_LEFT = "salience * exp(-decay * max(? - created_at, 0) / 86400.0)"
_MOMENTS = {curation.CREATED: "created_at", curation.UPDATED: "updated_at", curation.USED: _USED}
#: Few are pinned, and an index has them.
_PINNED = "id IN (SELECT id FROM entries WHERE pinned_at IS NOT NULL)"
_UNPINNED = "pinned_at IS NULL"
_DAY = 86400
_GROUPS = {
    curation.KIND: "kind",
    # Each attempt has a source of its own, which is only its name.
    curation.SOURCE: "iif(collection = 'execution', 'attempts', ifnull(source, ''))",
    curation.NAMESPACE: "namespace",
    curation.COLLECTION: "collection",
    curation.AGE: f"""
        CASE WHEN created_at > ?1 - {_DAY} THEN 'today'
             WHEN created_at > ?1 - {7 * _DAY} THEN 'this week'
             WHEN created_at > ?1 - {30 * _DAY} THEN 'this month'
             WHEN created_at > ?1 - {365 * _DAY} THEN 'this year' ELSE 'older' END
    """,
}


class ListingTable(EntryList):
    """`EntryList` on SQLite."""

    def __init__(self, database: Database, entries: EntryTable, clock: Callable[[], float]) -> None:
        self._database = database
        self._entries = entries
        self._clock = clock

    def page(
        self, listing: Listing, limit: int = 50, after: Position | None = None
    ) -> list[ListedEntry]:
        rows = [] if after and not after.pinned else self._part(listing, _PINNED, limit, after)
        if len(rows) < limit:
            place = None if after and after.pinned else after
            rows += self._part(listing, _UNPINNED, limit - len(rows), place)
        entries = {entry.id: entry for entry in self._entries.get([row[0] for row in rows])}
        return [_listed(entries[row[0]], *row[1:]) for row in rows]

    def _part(
        self, listing: Listing, which: str, limit: int, after: Position | None
    ) -> list[tuple[Any, ...]]:
        """Return the pinned ones or the others: each in an order that an index may have."""
        sql, bindings = condition(listing)
        moment = _MOMENTS[listing.order]
        if after is not None:
            sql += f" AND ({moment}, id) < (?, ?)"
            bindings += [after.moment, after.id]
        return self._database.rows(
            f"SELECT id, pinned_at, {moment}, {_USED} FROM {_AND_USES} WHERE {sql} AND {which} "
            f"ORDER BY {moment} DESC, id DESC LIMIT ?",
            [*bindings, limit],
        )

    def count(self, listing: Listing) -> int:
        sql, bindings = condition(listing)
        return int(self._database.value(f"SELECT count(*) FROM entries WHERE {sql}", bindings))

    def ids(self, listing: Listing, limit: int) -> list[int]:
        sql, bindings = condition(listing)
        rows = self._database.rows(
            f"SELECT id FROM entries WHERE {sql} ORDER BY id LIMIT ?", [*bindings, limit]
        )
        return [row[0] for row in rows]

    def tags(self, where: EntryFilter = EVERYTHING) -> Mapping[str, int]:
        sql, bindings = condition(Listing(where))
        return dict(
            self._database.rows(
                "SELECT tag.value, count(DISTINCT entries.id) FROM entries, "
                f"json_each(entries.tags) AS tag WHERE entries.id IN "
                f"(SELECT id FROM entries WHERE {sql}) GROUP BY 1 ORDER BY 2 DESC, 1",
                bindings,
            )
        )

    def counts(self, group: str, listing: Listing, now: float) -> Mapping[str, int]:
        sql, bindings = condition(listing)
        # The first place is the present for each group, so that the others keep their numbers.
        return dict(
            self._database.rows(
                f"SELECT {_GROUPS[group]}, count(*) FROM entries WHERE ?1 = ?1 AND {sql} "
                "GROUP BY 1 ORDER BY 2 DESC, 1",
                [now, *bindings],
            )
        )

    def faded(self, listing: Listing, fading: Fading, limit: int) -> list[FadedEntry]:
        sql, bindings = condition(listing)
        needed, among = _needed(fading)
        since = fading.now - fading.seconds
        rows = self._database.rows(
            f"SELECT id, {_LEFT} AS left, CASE WHEN pinned_at IS NOT NULL THEN '{PINNED_STILL}' "
            f"WHEN {needed} THEN '{NEEDED}' WHEN {_USED} > ? THEN '{USED_STILL}' ELSE '' END "
            f"FROM {_AND_USES} WHERE {sql} AND created_at < ? AND {_LEFT} < ? "
            "ORDER BY 2, id LIMIT ?",
            [fading.now, *among, since, *bindings, since, fading.now, fading.below, limit],
        )
        return [FadedEntry(*row) for row in rows]

    def pinned(self, ids: Sequence[int]) -> list[int]:
        sql = "id IN (SELECT value FROM json_each(?)) AND pinned_at IS NOT NULL"
        found = self._database.rows(f"SELECT id FROM entries WHERE {sql}", [json.dumps(list(ids))])
        return [row[0] for row in found]

    def pin(self, ids: Sequence[int], pinned: bool = True) -> list[int]:
        now = self._clock() if pinned else None
        sql = f"id IN (SELECT value FROM json_each(?)) AND {LIVE} AND (pinned_at IS NULL) = ?"
        with self._database.write():
            rows = self._database.rows(
                f"SELECT id FROM entries WHERE {sql}", [json.dumps(list(ids)), pinned]
            )
            changed = [row[0] for row in rows]
            self._database.rows(
                "UPDATE entries SET pinned_at = ? WHERE id IN (SELECT value FROM json_each(?))",
                [now, json.dumps(changed)],
            )
        return changed


def _needed(fading: Fading) -> Condition:
    """Return the condition that something that lives depends on an entry."""
    sql = (
        "EXISTS (SELECT 1 FROM links AS l JOIN entries AS n ON n.id = l.from_id "
        f"WHERE l.to_id = entries.id AND l.kind = '{DEPENDS_ON}' AND l.ended_at IS NULL "
        "AND ifnull(l.valid_until > ?, TRUE) AND n.deleted_at IS NULL AND n.superseded_by IS NULL"
    )
    if fading.seen is None:
        return f"{sql})", [fading.now]
    marks = ", ".join("?" * len(fading.seen))
    return f"{sql} AND n.namespace IN ({marks}))", [fading.now, *fading.seen]


def condition(listing: Listing) -> Condition:
    """Return the condition on `entries` for what is in a list."""
    if conditions.impossible(listing.where):
        return "FALSE", []
    # Words of entries that do not live are in no index, so their tags are looked at one by one.
    sql, bindings = conditions.live(listing.where, many=False)
    sql = _STATES[listing.state] + sql.removeprefix(LIVE)
    sql += " AND instr(lower(title || ' ' || content), lower(?)) > 0" * len(listing.words)
    return sql, [*bindings, *listing.words]


def _listed(entry: Entry, pinned: float | None, when: float, used: float | None) -> ListedEntry:
    return ListedEntry(entry, pinned, used or None, Position(pinned is not None, when, entry.id))
