"""All profiles and bindings at once: what a worker caches, and answers from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from khive_supervisor.profiles.model import DEFAULT, Binding, Profile
from khive_supervisor.profiles.resolve import Resolution, resolve


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


def load_snapshot(
    profiles: Callable[[], Iterable[Profile]], bindings: Callable[[], Iterable[Binding]]
) -> Snapshot:
    """Read a snapshot: two statements.

    Bindings first: one of a profile that was made in between is then there with its profile.
    """
    bound = tuple(bindings())
    return Snapshot({profile.name: profile for profile in profiles()}, bound)
