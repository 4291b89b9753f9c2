"""Which profile serves a call: the binding that says the most about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from khive_supervisor.errors import InvalidInput
from khive_supervisor.profiles.model import ANY, PRIORITY_LIMIT, Binding, Profile


@dataclass(frozen=True, slots=True)
class Resolution:
    """The profile that serves, and the binding that says so (None: no binding matches)."""

    profile: Profile
    binding: Binding | None


def matches(binding: Binding, actor: str, namespace: str, consumer_kind: str) -> bool:
    """Whether each field of a binding is the call's, or any."""
    return all(
        field in (ANY, asked)
        for field, asked in zip(binding.key, (actor, namespace, consumer_kind), strict=True)
    )


def rank(binding: Binding) -> tuple[int, int, tuple[bool, bool, bool]]:
    """The greater, the more it counts: fields named, priority, then actor, namespace, kind."""
    actor, namespace, kind = (field != ANY for field in binding.key)
    return actor + namespace + kind, binding.priority, (actor, namespace, kind)


def resolve(
    profiles: Mapping[str, Profile],
    bindings: Iterable[Binding],
    default: Profile,
    actor: str,
    namespace: str,
    consumer_kind: str,
) -> Resolution:
    """The active profile of the best binding that matches, else the default.

    Bindings of profiles that are not active are passed over. Two bindings with different keys that
    match the same call never have the same rank, so the order of the bindings means nothing.
    """
    found = [
        binding
        for binding in bindings
        if matches(binding, actor, namespace, consumer_kind)
        and binding.profile in profiles
        and profiles[binding.profile].active
    ]
    if not found:
        return Resolution(default, None)
    best = max(found, key=rank)
    return Resolution(profiles[best.profile], best)


def overlap(one: Binding, other: Binding) -> bool:
    """Whether some call matches both."""
    return all(
        mine == theirs or ANY in (mine, theirs)
        for mine, theirs in zip(one.key, other.key, strict=True)
    )


def ties(new: Binding, existing: Iterable[Binding]) -> Binding | None:
    """A binding with another key that says as much as the new one about some call, or None."""
    for other in existing:
        if other.key != new.key and overlap(new, other) and rank(new)[:2] == rank(other)[:2]:
            return other
    return None


def check_ties(new: Binding, existing: Iterable[Binding]) -> None:
    """Refuse a binding that would leave it open which of two profiles serves.

    Raises:
        InvalidInput: it names the other one, and a priority that decides.
    """
    others = list(existing)
    other = ties(new, others)
    if other is None:
        return
    raise InvalidInput(
        f"A call can match both this binding and that of {other.profile} ({describe(other)}): "
        f"each names {rank(new)[0]} of the three fields, with priority {new.priority}.",
        hint=f"Bind with {_free_priorities(new, others)}, or name more fields.",
    )


def describe(binding: Binding) -> str:
    """A binding's key and priority, in one line."""
    return (
        f"actor {binding.actor}, namespace {binding.namespace}, "
        f"consumer_kind {binding.consumer_kind}, priority {binding.priority}"
    )


def _free_priorities(new: Binding, existing: list[Binding]) -> str:
    """The nearest priorities above and below that tie with nothing."""
    taken = {
        other.priority
        for other in existing
        if other.key != new.key and overlap(new, other) and rank(other)[0] == rank(new)[0]
    }
    above, below = new.priority, new.priority
    while above in taken:
        above += 1
    while below in taken:
        below -= 1
    ways = ((above, "before"), (below, "after"))
    return " or ".join(
        f"priority={priority} to come {where} it"
        for priority, where in ways
        if abs(priority) <= PRIORITY_LIMIT
    )
