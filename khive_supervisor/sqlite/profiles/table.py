"""The profiles' tables: state in rows, changed by arithmetic in the transaction of its event."""

# ruff: noqa: S608 - statements are put together from this package's constants; values are bound
from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from khive_supervisor.audit import actors
from khive_supervisor.errors import InvalidInput
from khive_supervisor.profiles import names, signals
from khive_supervisor.profiles.model import (
    COUNTED_KINDS,
    CREATED,
    LIFECYCLE,
    RESET,
    EventCount,
    Mass,
    Profile,
    ProfileEvent,
    ProfileState,
    Target,
    Weights,
)
from khive_supervisor.profiles.posterior import Beta
from khive_supervisor.profiles.replay import weights_detail
from khive_supervisor.sqlite.audit.table import AuditTable
from khive_supervisor.sqlite.engine.database import Database
from khive_supervisor.store.profiles import ProfileStore

_ONES = ", ".join(
    f"{name}.prior_alpha, {name}.prior_beta, {name}.alpha, {name}.beta" for name in signals.WEIGHTS
)
_JOINS = " ".join(
    f"JOIN posteriors {name} ON {name}.profile_id = p.id AND {name}.weight = '{name}'"
    for name in signals.WEIGHTS
)
_PROFILES = (
    "SELECT p.id, p.name, p.description, p.consumer_kind, p.lifecycle, p.builtin, p.epoch, "
    f"p.events, p.created_at, p.updated_at, {_ONES} FROM profiles p {_JOINS}"
)
_EVENTS = (
    "seq, at, kind, signal, entry_id, weight, counted, actor, namespace, session, "
    "scorer_run, serve, detail"
)
#: `EVENT_GROUPS` in SQL.
_GROUPS: Mapping[str, str] = {
    "kind": "e.kind",
    "signal": "ifnull(e.signal, 'none')",
    "profile": "p.name",
    "day": "date(e.at, 'unixepoch')",
    "actor": "e.actor",
}


class ProfileTable(ProfileStore):
    """`ProfileStore` on SQLite."""

    def __init__(self, database: Database, clock: Callable[[], float], audit: AuditTable) -> None:
        self._database = database
        self._clock = clock
        self._audit = audit

    # --- profiles -------------------------------------------------------------------------------

    def create(
        self,
        name: str,
        description: str = "",
        consumer_kind: str = "recall",
        priors: Weights | None = None,
    ) -> Profile:
        name, now, priors = names.checked_name(name), self._clock(), priors or Weights()
        gate = self._database.gate
        name, description = gate.said(name, "name"), gate.said(description, "description")
        with self._database.write():
            if self._database.value("SELECT 1 FROM profiles WHERE name = ?", [name]):
                raise InvalidInput(
                    f"There is a profile {name} already.",
                    hint="Use it, or choose another name; names are never used twice.",
                )
            profile_id = self._database.insert(
                "profiles", name=name, description=description, consumer_kind=consumer_kind,
                created_at=now, updated_at=now,
            )  # fmt: skip
            for weight, prior in priors.items():
                self._database.rows(
                    "INSERT INTO posteriors (profile_id, weight, prior_alpha, prior_beta, alpha, "
                    "beta) VALUES (?1, ?2, ?3, ?4, ?3, ?4)",
                    [profile_id, weight, prior.alpha, prior.beta],
                )
            self._log(name, profile_id, now, CREATED, {"priors": weights_detail(priors)})
            return self.named(name)

    def find(self, name: str) -> Profile | None:
        rows = self._database.rows(f"{_PROFILES} WHERE p.name = ?", [name])
        return _profile(rows[0]) if rows else None

    def named(self, name: str) -> Profile:
        """Return the profile of a name; `NotFound` if there is none."""
        profile = self.find(name)
        if profile is None:
            raise names.missing(name)
        return profile

    def all(self, lifecycle: str | None = None) -> list[Profile]:
        rows = self._database.rows(
            f"{_PROFILES} WHERE p.lifecycle = ifnull(?, p.lifecycle) ORDER BY p.id", [lifecycle]
        )
        return [_profile(row) for row in rows]

    def set_lifecycle(self, name: str, lifecycle: str) -> Profile:
        with self._database.write():
            found = self.named(name)
            if names.check_transition(
                found.name, found.lifecycle, lifecycle, builtin=found.builtin
            ):
                now = self._clock()
                self._database.update("profiles", found.id, lifecycle=lifecycle, updated_at=now)
                self._log(found.name, found.id, now, LIFECYCLE, {"to": lifecycle})
            return self.named(name)

    def reset(self, name: str) -> Profile:
        with self._database.write():
            found = self.named(name)
            if found.lifecycle == names.ARCHIVED:
                raise names.archived(name)
            now = self._clock()
            for statement in (
                "UPDATE posteriors SET alpha = prior_alpha, beta = prior_beta WHERE profile_id = ?",
                "DELETE FROM profile_targets WHERE profile_id = ?",
                "DELETE FROM feedback_mass WHERE profile_id = ?",
            ):
                self._database.rows(statement, [found.id])
            self._database.rows(
                "UPDATE profiles SET epoch = epoch + 1, updated_at = ? WHERE id = ?",
                [now, found.id],
            )
            self._log(found.name, found.id, now, RESET, {})
            return self.named(name)

    # --- what was logged and learned ------------------------------------------------------------

    def events(self, name: str, after_seq: int = 0, limit: int = 500) -> list[ProfileEvent]:
        rows = self._database.rows(
            f"SELECT {_EVENTS} FROM profile_events WHERE profile_id = "
            "(SELECT id FROM profiles WHERE name = ?) AND seq > ? ORDER BY seq LIMIT ?",
            [name, after_seq, limit],
        )
        return [_event(row) for row in rows]

    def event_counts(
        self,
        since: float,
        until: float | None = None,
        group: str = "kind",
        actor: str | None = None,
        *,
        feedback: bool = False,
    ) -> list[EventCount]:
        if group not in _GROUPS:
            raise InvalidInput(
                f"Events cannot be counted by {group!r}.", hint=f"Use one of: {', '.join(_GROUPS)}."
            )
        rows = self._database.rows(
            f"SELECT {_GROUPS[group]} AS what, count(*), total(e.counted) FROM profile_events e "
            "JOIN profiles p ON p.id = e.profile_id WHERE e.at >= ?1 "
            "AND (?2 IS NULL OR e.at < ?2) AND e.actor = ifnull(?3, e.actor) "
            "AND (NOT ?4 OR e.kind IN (SELECT value FROM json_each(?5))) "
            "GROUP BY what ORDER BY what",
            [since, until, actor, feedback, json.dumps(COUNTED_KINDS)],
        )
        return [EventCount(*row) for row in rows]

    def targets_of(self, profile_id: int, entry_ids: Sequence[int]) -> dict[int, Beta]:
        rows = self._database.rows(
            "SELECT entry_id, alpha, beta FROM profile_targets WHERE profile_id = ? "
            "AND entry_id IN (SELECT value FROM json_each(?))",
            [profile_id, json.dumps(list(entry_ids))],
        )
        return {row[0]: Beta(*row[1:]) for row in rows}

    def top_targets(self, profile_id: int, limit: int = 10) -> list[tuple[int, Target]]:
        rows = self._database.rows(
            "SELECT entry_id, alpha, beta, events FROM profile_targets WHERE profile_id = ? "
            "ORDER BY alpha / (alpha + beta) DESC, alpha DESC, entry_id LIMIT ?",
            [profile_id, limit],
        )
        return [(row[0], _target(row)) for row in rows]

    def state(self, name: str) -> tuple[ProfileState, int]:
        with self._database.read():
            found = self.named(name)
            targets = self._rows("entry_id, alpha, beta, events FROM profile_targets", found.id)
            masses = self._rows("entry_id, source, mass, at FROM feedback_mass", found.id)
            last = self._database.value(
                "SELECT seq FROM profile_events WHERE profile_id = ? ORDER BY seq DESC LIMIT 1",
                [found.id],
            )
        state = ProfileState(
            found.weights,
            {row[0]: _target(row) for row in targets},
            {(row[0], row[1]): Mass(*row[2:]) for row in masses},
            found.events,
            found.epoch,
            found.lifecycle,
        )
        return state, int(last)

    def _rows(self, columns: str, profile_id: int) -> list[tuple[Any, ...]]:
        return self._database.rows(f"SELECT {columns} WHERE profile_id = ?", [profile_id])

    def _log(
        self, name: str, profile_id: int, at: float, kind: str, detail: Mapping[str, Any]
    ) -> None:
        self._database.insert(
            "profile_events", profile_id=profile_id, at=at, kind=kind, detail=json.dumps(detail)
        )
        self._audit.append(at, f"profile.{kind}", actors.profile(name), detail)


def _profile(row: tuple[Any, ...]) -> Profile:
    fields, pairs = list(row[:10]), row[10:]
    fields[5] = bool(fields[5])
    betas = [Beta(*pairs[place : place + 2]) for place in range(0, len(pairs), 2)]
    fields += [Weights(*betas[::2]), Weights(*betas[1::2])]
    return Profile(*fields)


def _event(row: tuple[Any, ...]) -> ProfileEvent:
    fields = list(row)
    fields[-1] = json.loads(row[-1])
    return ProfileEvent(*fields)


def _target(row: tuple[Any, ...]) -> Target:
    return Target(Beta(row[1], row[2]), row[3])
