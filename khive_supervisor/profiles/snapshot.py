"""All profiles and bindings at once: what a worker caches, and answers from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from khive_supervisor.profiles.model import DEFAULT, Binding, Profile
from khive_supervisor.profiles.resolve import Resolution, resolve


class SnapshotSource(Protocol):
    """What a snapshot is loaded from; a store is one."""

    def profiles(self, lifecycle: str | None = None) -> list[Profile]:
        """See `store.interface.ProfileStore.profiles`."""
        ...

    def bindings(self) -> list[Binding]:
        """See `store.interface.ProfileStore.bindings`."""
        ...


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The profiles by name with their posteriors, and the bindings."""

    profiles: Mapping[str, Profile]
    bindings: Sequence[Binding]

    @property
    def default(self) -> Profile:
        """The profile that serves whatever no binding names."""
        return self.profiles[DEFAULT]

    def find(self, name: str) -> Profile | None:
        """The profile of a name, whatever its lifecycle, or None."""
        return self.profiles.get(name)

    def resolve(self, actor: str, namespace: str, consumer_kind: str) -> Resolution:
        """The profile that serves a call."""
        return resolve(self.profiles, self.bindings, self.default, actor, namespace, consumer_kind)


def load_snapshot(source: SnapshotSource) -> Snapshot:
    """Read a snapshot: two statements.

    Bindings first: one of a profile that was made in between is then there with its profile.
    """
    bindings = source.bindings()
    profiles = source.profiles()
    return Snapshot({profile.name: profile for profile in profiles}, tuple(bindings))
