"""Profiles of another store, with what they have learned, as rows of this one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

from khive_supervisor.sqlite.curation.exporting import EVENT_COLUMNS, PROFILE_COLUMNS
from khive_supervisor.sqlite.curation.origins import Origins
from khive_supervisor.sqlite.engine.database import Database, Value
from khive_supervisor.store.curation import KNOWN, LEFT_OUT, STORED, Imported, Record

#: What is said of a record whose entry or profile did not come.
NO_ENTRY = Imported(LEFT_OUT, why="its entry was not imported")
_NO_PROFILE = Imported(LEFT_OUT, why="its profile was not imported")
_LEARNED_HERE = Imported(LEFT_OUT, why="a profile of that name has learned something here already")


def takes_of_profiles(
    database: Database, origins: Origins
) -> dict[str, Callable[[str, Record], Imported]]:
    """Return of each type of record about profiles what takes it in, in a transaction."""
    taken = _TakenProfiles(database, origins)
    return {
        "profile": taken.profile, "binding": taken.binding, "target": taken.target,
        "mass": taken.mass, "event": taken.event,
    }  # fmt: skip


class _TakenProfiles:
    def __init__(self, database: Database, origins: Origins) -> None:
        self._database = database
        self._origins = origins

    def profile(self, store: str, record: Record) -> Imported:
        """Take a profile, unless one of its name has learned something here by itself."""
        if (known := self._origins.here(store, "profile", record["name"])) is not None:
            return Imported(KNOWN, known)
        rows = self._database.rows(
            "SELECT id, events FROM profiles WHERE name = ?", [record["name"]]
        )
        if rows and rows[0][1] and record["events"]:
            return _LEARNED_HERE
        values: dict[str, Value] = {one: record.get(one) for one in PROFILE_COLUMNS}
        if not rows:
            number = self._database.insert("profiles", **values)
            self._database.rows("DELETE FROM posteriors WHERE profile_id = ?", [number])
        else:
            number = rows[0][0]
            self._database.rows("DELETE FROM profile_events WHERE profile_id = ?", [number])
            self._number_events_again()
            self._database.update("profiles", number, **values)
        self._put_weights(number, record["weights"])
        self._origins.came(store, "profile", record["name"], number)
        return Imported(STORED, number)

    def _number_events_again(self) -> None:
        """Go on numbering events behind the last one, as the store did that they come from.

        Not in a team's store: numbers that are not here may be those of events that are hidden.
        """
        self._database.rows(
            "UPDATE sqlite_sequence SET seq = (SELECT ifnull(max(seq), 0) FROM profile_events) "
            "WHERE name = 'profile_events' AND NOT EXISTS (SELECT 1 FROM replica)"
        )

    def _put_weights(self, profile: int, weights: Mapping[str, Sequence[float]]) -> None:
        for weight, numbers in weights.items():
            self._database.rows(
                "INSERT OR REPLACE INTO posteriors (profile_id, weight, prior_alpha, prior_beta, "
                "alpha, beta) VALUES (?, ?, ?, ?, ?, ?)",
                [profile, weight, *numbers],
            )

    def _taken_profile(self, store: str, record: Record) -> int | None:
        return self._origins.here(store, "profile", record["profile"])

    def binding(self, store: str, record: Record) -> Imported:
        profile = self._taken_profile(store, record)
        if profile is None:
            return _NO_PROFILE
        key = [record["actor"], record["namespace"], record["consumer_kind"]]
        changed = self._database.changed(
            "INSERT OR IGNORE INTO bindings (profile_id, actor, namespace, consumer_kind, "
            "priority, created_at) VALUES (?, ?, ?, ?, ?, ?)",
            [profile, *key, record["priority"], record["created_at"]],
        )
        return Imported(STORED if changed else KNOWN, profile)

    def target(self, store: str, record: Record) -> Imported:
        profile, entry = self._taken_profile(store, record), self._origins.entry(store, record)
        if profile is None or entry is None:
            return _NO_PROFILE if profile is None else NO_ENTRY
        changed = self._database.changed(
            "INSERT OR IGNORE INTO profile_targets (profile_id, entry_id, alpha, beta, events) "
            "VALUES (?, ?, ?, ?, ?)",
            [profile, entry, record["alpha"], record["beta"], record["events"]],
        )
        return Imported(STORED if changed else KNOWN, entry)

    def mass(self, store: str, record: Record) -> Imported:
        profile = self._taken_profile(store, record)
        entry = 0 if record["entry"] == 0 else self._origins.entry(store, record)
        if profile is None or entry is None:
            return _NO_PROFILE if profile is None else NO_ENTRY
        changed = self._database.changed(
            "INSERT OR IGNORE INTO feedback_mass (profile_id, entry_id, source, mass, at) "
            "VALUES (?, ?, ?, ?, ?)",
            [profile, entry, record["source"], record["mass"], record["at"]],
        )
        return Imported(STORED if changed else KNOWN, entry)

    def event(self, store: str, record: Record) -> Imported:
        if (known := self._origins.here(store, "event", record["seq"])) is not None:
            return Imported(KNOWN, known)
        profile = self._taken_profile(store, record)
        if profile is None:
            return _NO_PROFILE
        values: dict[str, Value] = {one: record.get(one) for one in EVENT_COLUMNS}
        values["detail"] = json.dumps(record.get("detail", {}), ensure_ascii=False)
        entry = self._origins.entry(store, record)
        number = self._database.insert(
            "profile_events", profile_id=profile, entry_id=entry, **values
        )
        self._origins.came(store, "event", record["seq"], number)
        return Imported(STORED, number)
