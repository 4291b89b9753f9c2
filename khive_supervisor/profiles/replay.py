"""A profile computed again from its events alone, with the functions that recorded them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

from khive_supervisor.profiles import admission, signals
from khive_supervisor.profiles.model import (
    COUNTED_KINDS,
    CREATED,
    LIFECYCLE,
    PURGED,
    RESET,
    Mass,
    ProfileEvent,
    ProfileState,
    Target,
    Weights,
)
from khive_supervisor.profiles.names import ACTIVE
from khive_supervisor.profiles.posterior import UNKNOWN, Beta

#: Events that are read at once.
PAGE = 2000


class Replay:
    """The state of one profile after each of its events; they come in the order of their numbers.

    Every sum is formed from the same numbers in the same order as in the store, so that the result
    is equal to the last bit.
    """

    def __init__(self) -> None:
        self._priors = Weights()
        self._weights = Weights()
        self._targets: dict[int, Target] = {}
        self._masses: dict[tuple[int, str], Mass] = {}
        self._events = 0
        self._epoch = 0
        self._lifecycle = ACTIVE

    def take(self, event: ProfileEvent) -> None:
        """Apply the next event."""
        if event.kind in COUNTED_KINDS:
            self._events += 1
            self._learn(event)
        elif event.kind == CREATED:
            self._priors = self._weights = weights_from(event.detail["priors"])
        elif event.kind == RESET:
            self._weights = self._priors
            self._targets.clear()
            self._masses.clear()
            self._epoch += 1
        elif event.kind == LIFECYCLE:
            self._lifecycle = event.detail["to"]
        elif event.kind == PURGED and event.entry_id is not None:
            self._forget(event.entry_id)

    @property
    def state(self) -> ProfileState:
        """What the events so far have made."""
        return ProfileState(
            self._weights,
            dict(self._targets),
            dict(self._masses),
            self._events,
            self._epoch,
            self._lifecycle,
        )

    def _learn(self, event: ProfileEvent) -> None:
        if event.signal is None:
            return
        signal = signals.named(event.signal)
        counted = self._admit(event, signal)
        effect = signals.effect(signal, counted, event.detail.get("latency_us"))
        for name, (alpha, beta) in effect.weights.items():
            posterior: Beta = getattr(self._weights, name)
            self._weights = replace(self._weights, **{name: posterior.plus(alpha, beta)})
        if effect.target is not None and event.entry_id is not None:
            before = self._targets.get(event.entry_id, Target(UNKNOWN, 0))
            self._targets[event.entry_id] = Target(
                before.posterior.plus(*effect.target), before.events + 1
            )

    def _forget(self, entry_id: int) -> None:
        """What was learned of an entry goes with it; what it taught the weights stays."""
        self._targets.pop(entry_id, None)
        self._masses = {key: mass for key, mass in self._masses.items() if key[0] != entry_id}

    def _admit(self, event: ProfileEvent, signal: signals.Signal) -> float:
        account = admission.account(signal, event.entry_id, event.session, event.actor)
        key = (account.entry_id, account.source)
        before = self._masses.get(key, Mass(0.0, event.at))
        counted, mass = admission.admitted(
            before.mass, before.at, event.at, event.weight, account.cap
        )
        if counted > 0.0:
            self._masses[key] = Mass(mass, event.at)
        return counted


class ReplaySource(Protocol):
    """What a profile is verified against; the profiles of a store are one."""

    def state(self, name: str) -> tuple[ProfileState, int]:
        """Return what the tables say of a profile, and its last event's number that they hold."""
        ...

    def events(self, name: str, after_seq: int, limit: int) -> list[ProfileEvent]:
        """Return the next events of a profile above a number, in order."""
        ...


def verify(source: ReplaySource, name: str) -> list[str]:
    """Compute a profile again from its events, page by page; what differs from its tables.

    Others may go on writing: what came after the look at the tables is left out.
    """
    stored, last = source.state(name)
    run, seq = Replay(), 0
    while seq < last:
        for event in source.events(name, seq, PAGE):
            seq = event.seq
            if seq <= last:
                run.take(event)
    return differences(stored, run.state)


def _unequal(mine: Mapping[Any, object], theirs: Mapping[Any, object]) -> tuple[int, int]:
    """Return how many keys have another value, or are only in one, and how many there are."""
    keys = {*mine, *theirs}
    return sum(mine.get(key) != theirs.get(key) for key in keys), len(keys)


def differences(stored: ProfileState, replayed: ProfileState) -> list[str]:
    """What is not equal to the last bit, in words; empty: nothing."""
    found = [
        f"{name} is {_show(mine)} in the tables and {_show(theirs)} by the events"
        for (name, mine), (_, theirs) in zip(
            stored.weights.items(), replayed.weights.items(), strict=True
        )
        if mine != theirs
    ]
    for name in ("targets", "masses"):
        wrong, known = _unequal(getattr(stored, name), getattr(replayed, name))
        if wrong:
            found.append(f"{wrong} of {known} {name} differ")
    found += [
        f"{name} is {getattr(stored, name)} in the table and {getattr(replayed, name)} "
        f"by the events"
        for name in ("events", "epoch", "lifecycle")
        if getattr(stored, name) != getattr(replayed, name)
    ]
    return found


def _show(beta: Beta) -> str:
    return f"Beta({beta.alpha!r}, {beta.beta!r})"


def weights_from(detail: dict[str, list[float]]) -> Weights:
    """Weights as an event holds them."""
    return Weights(**{name: Beta(*pair) for name, pair in detail.items()})


def weights_detail(weights: Weights) -> dict[str, list[float]]:
    """Weights as an event holds them."""
    return {name: [beta.alpha, beta.beta] for name, beta in weights.items()}
