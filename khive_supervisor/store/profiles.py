"""The facets of a store for profiles, who is served by which, and what feedback taught them.

Every change that a profile's name asks for is `NotFound` without that profile.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from khive_supervisor.profiles.model import (
    ALL_BINDINGS,
    Binding,
    BindingFilter,
    EventCount,
    NewEvent,
    Profile,
    ProfileEvent,
    ProfileState,
    Recorded,
    Target,
    Weights,
)
from khive_supervisor.profiles.posterior import Beta


class ProfileStore(Protocol):
    """Profiles, and what they have learned."""

    def create(
        self,
        name: str,
        description: str = "",
        consumer_kind: str = "recall",
        priors: Weights | None = None,
    ) -> Profile:
        """Make an active profile; `InvalidInput` if the name is taken or cannot be one."""
        ...  # fmt: skip

    def find(self, name: str) -> Profile | None:
        """Return the profile of a name, or None."""
        ...

    def all(self, lifecycle: str | None = None) -> list[Profile]:
        """Return all profiles, oldest first, or those of a lifecycle."""
        ...

    def set_lifecycle(self, name: str, lifecycle: str) -> Profile:
        """Activate, deactivate or archive; `InvalidInput` or `Denied` if there is no such way."""
        ...

    def reset(self, name: str) -> Profile:
        """Go back to the priors; targets and masses are forgotten, the events stay."""
        ...

    def events(self, name: str, after_seq: int = 0, limit: int = 500) -> list[ProfileEvent]:
        """Return the next events of a profile above a number, in order."""
        ...

    def event_counts(
        self,
        since: float,
        until: float | None = None,
        group: str = "kind",
        actor: str | None = None,
        *,
        feedback: bool = False,
    ) -> list[EventCount]:
        """Return how many events there were by kind, signal, profile, day (UTC) or actor.

        Times are unix seconds, `since <= at < until`; of one actor, if it is said, and
        what taught them something alone, if `feedback` is asked for.
        `InvalidInput` for another group.
        """
        ...  # fmt: skip

    def targets_of(self, profile_id: int, entry_ids: Sequence[int]) -> dict[int, Beta]:
        """Return what a profile has learned of these entries; unknown ones are left out. Cheap."""
        ...

    def top_targets(self, profile_id: int, limit: int = 10) -> list[tuple[int, Target]]:
        """Return the entries that a profile holds in the highest esteem, best first."""
        ...

    def state(self, name: str) -> tuple[ProfileState, int]:
        """Return what the tables say of a profile, and its last event's number that they hold."""
        ...


class BindingStore(Protocol):
    """Which profile serves whom."""

    def bind(self, binding: Binding) -> Binding | None:
        """Let a profile serve what the binding matches; return the one of its key it replaces.

        `InvalidInput` if it would tie with another one, `Denied` if the profile is archived.
        """
        ...

    def unbind(self, where: BindingFilter) -> list[Binding]:
        """Remove bindings; return those that were removed."""
        ...

    def all(self, where: BindingFilter = ALL_BINDINGS) -> list[Binding]:
        """Return bindings in the order in which they were made."""
        ...


class FeedbackStore(Protocol):
    """Recording feedback.

    It is an event and an addition in one transaction, so two writers never overwrite each other.
    """

    def record(self, event: NewEvent) -> Recorded:
        """Log feedback and let it count, as far as its source's mass allows.

        When it returns, the event survives a power cut, and is counted exactly once. `NotFound`
        without the profile or the target, `Denied` if the profile is archived; an entry that was
        forgotten is `InvalidInput`. A judgement that is there already is answered as a duplicate.
        """
        ...

    def record_many(self, events: Sequence[NewEvent]) -> list[Recorded]:
        """Record each like `record`, in one transaction: all or none."""
        ...
