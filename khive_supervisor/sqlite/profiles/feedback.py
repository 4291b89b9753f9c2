"""Recording feedback: the event, what of it counts, and the arithmetic, as one transaction."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from khive_supervisor.audit import actors
from khive_supervisor.errors import InvalidInput, NotFound
from khive_supervisor.profiles import admission, signals
from khive_supervisor.profiles.model import NewEvent, Recorded
from khive_supervisor.profiles.names import ARCHIVED, archived, missing
from khive_supervisor.profiles.posterior import UNKNOWN
from khive_supervisor.sqlite.audit.table import AuditTable
from khive_supervisor.sqlite.engine.database import Database
from khive_supervisor.store.profiles import FeedbackStore

_encode = json.JSONEncoder(ensure_ascii=False).encode


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What a signal says, what of it counts, and its account's mass from now on."""

    weight: float = 0.0
    counted: float = 0.0
    mass: float = 0.0


class FeedbackTable(FeedbackStore):
    """`FeedbackStore` on SQLite."""

    def __init__(self, database: Database, clock: Callable[[], float], audit: AuditTable) -> None:
        self._database = database
        self._clock = clock
        self._audit = audit

    def record(self, event: NewEvent) -> Recorded:
        return self.record_many([event])[0]

    def record_many(self, events: Sequence[NewEvent]) -> list[Recorded]:
        for event in events:
            for where in ("scorer_run", "serve"):
                self._database.gate.said(getattr(event, where) or "", where)
        given = [(event, _signal(event)) for event in events]
        with self._database.write_small():
            return [self._record(event, signal) for event, signal in given]

    def _record(self, event: NewEvent, signal: signals.Signal | None) -> Recorded:
        """Everything that is looked at is looked at under the write lock; the clock, too."""
        before = self._judged(event)
        if before is not None:
            return before
        now = self._clock()
        account = _account(event, signal)
        profile_id, mass, at = self._subject(event, account)
        verdict = _verdict(signal, account, mass, now if at is None else at, now)
        seq = self._log(profile_id, now, event, verdict)
        if signal is not None and account is not None and verdict.counted:
            effect = signals.effect(signal, verdict.counted, event.latency_us)
            self._learn(profile_id, event.entry_id, effect)
            self._keep(profile_id, account, verdict.mass, now)
        self._database.rows(
            "UPDATE profiles SET events = events + 1, updated_at = ? WHERE id = ?",
            [now, profile_id],
        )
        self._tell(now, event, seq, verdict)
        return Recorded(seq, verdict.weight, verdict.counted)

    def _tell(self, now: float, event: NewEvent, seq: int, verdict: _Verdict) -> None:
        """Write the audit chain's entry; all that its event says besides stays in that one."""
        detail = {
            "event": seq,
            "signal": event.signal,
            "entry": event.entry_id,
            "counted": verdict.counted,
        }
        self._audit.append(now, f"feedback.{event.kind}", actors.profile(event.profile), detail)

    def _judged(self, event: NewEvent) -> Recorded | None:
        """Return what was recorded of the same judgement before, or None."""
        if event.scorer_run is None:
            return None
        rows = self._database.rows(
            "SELECT seq, weight, counted FROM profile_events WHERE scorer_run = ? AND serve = ?",
            [event.scorer_run, event.serve],
        )
        return replace(Recorded(*rows[0]), duplicate=True) if rows else None

    def _subject(
        self, event: NewEvent, account: admission.MassAccount | None
    ) -> tuple[int, float, float | None]:
        """Return the profile's number, and the mass of the account with its time.

        With the bare parameters, SQLite would compile this again for each of their values: it
        compares them with the conditions of partial indexes. A plus keeps it from that.
        """
        entry_id, source = (account.entry_id, account.source) if account else (0, "")
        rows = self._database.rows(
            "SELECT p.id, p.lifecycle, e.id IS NULL, e.deleted_at IS NOT NULL, m.mass, m.at "
            "FROM profiles p LEFT JOIN entries e ON e.id = +?2 LEFT JOIN feedback_mass m "
            "ON m.profile_id = p.id AND m.entry_id = +?3 AND m.source = +?4 WHERE p.name = +?1",
            [event.profile, event.entry_id, entry_id, source],
        )
        if not rows:
            raise missing(event.profile)
        profile_id, lifecycle, unknown, forgotten, mass, at = rows[0]
        if lifecycle == ARCHIVED:
            raise archived(event.profile)
        if event.entry_id is not None:
            _check_target(event.entry_id, unknown=bool(unknown), forgotten=bool(forgotten))
        return profile_id, mass or 0.0, at

    def _log(self, profile_id: int, now: float, event: NewEvent, verdict: _Verdict) -> int:
        detail = self._database.gate.written_data(event.detail)
        if event.latency_us is not None:
            detail["latency_us"] = event.latency_us
        return self._database.insert(
            "profile_events",
            profile_id=profile_id, at=now, kind=event.kind, signal=event.signal,
            entry_id=event.entry_id, weight=verdict.weight, counted=verdict.counted,
            actor=event.actor, namespace=event.namespace, session=event.session,
            scorer_run=event.scorer_run, serve=event.serve,
            detail=self._database.gate.passed(_encode(detail)),
        )  # fmt: skip

    def _learn(self, profile_id: int, entry_id: int | None, effect: signals.Effect) -> None:
        """Add an effect to the posteriors; a target that is new starts as unknown."""
        for weight, (alpha, beta) in effect.weights.items():
            self._database.rows(
                "UPDATE posteriors SET alpha = alpha + ?, beta = beta + ? "
                "WHERE profile_id = ? AND weight = ?",
                [alpha, beta, profile_id, weight],
            )
        if effect.target is not None and entry_id is not None:
            start = UNKNOWN.plus(*effect.target)
            self._database.rows(
                "INSERT INTO profile_targets (profile_id, entry_id, alpha, beta, events) "
                "VALUES (?, ?, ?, ?, 1) ON CONFLICT DO UPDATE SET alpha = alpha + ?, "
                "beta = beta + ?, events = events + 1",
                [profile_id, entry_id, start.alpha, start.beta, *effect.target],
            )

    def _keep(
        self, profile_id: int, account: admission.MassAccount, mass: float, now: float
    ) -> None:
        self._database.rows(
            "INSERT INTO feedback_mass (profile_id, entry_id, source, mass, at) "
            "VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET mass = excluded.mass, "
            "at = excluded.at",
            [profile_id, account.entry_id, account.source, mass, now],
        )


def _signal(event: NewEvent) -> signals.Signal | None:
    """Return the signal of an event that can be recorded; `InvalidInput` for any other."""
    if event.scorer_run is not None and event.serve is None:
        raise InvalidInput(
            "A scorer's judgement names no serve.",
            hint="Give both: the run that judged and what was served; it is counted once.",
        )
    if event.signal is None:
        return None
    signal = signals.named(event.signal)
    if signal.target and event.entry_id is None:
        raise InvalidInput(
            f"{signal.name} is about an entry, and none is named.", hint="Name the target."
        )
    if not signal.target and event.entry_id is not None:
        raise InvalidInput(
            f"{signal.name} is about no entry, and one is named.", hint="Leave the target out."
        )
    return signal


def _account(event: NewEvent, signal: signals.Signal | None) -> admission.MassAccount | None:
    if signal is None:
        return None
    return admission.account(signal, event.entry_id, event.session, event.actor)


def _verdict(
    signal: signals.Signal | None,
    account: admission.MassAccount | None,
    mass: float,
    at: float,
    now: float,
) -> _Verdict:
    if signal is None or account is None:
        return _Verdict()
    return _Verdict(signal.weight, *admission.admitted(mass, at, now, signal.weight, account.cap))


def _check_target(entry_id: int, *, unknown: bool, forgotten: bool) -> None:
    if unknown:
        raise NotFound(
            f"There is no entry {entry_id}.", hint="Use an id that recall or search has given."
        )
    if forgotten:
        raise InvalidInput(
            f"Entry {entry_id} was forgotten: no search finds it, so there is nothing to learn.",
            hint="memory.restore brings it back.",
        )
