"""Searches as a profile ranks them: the learned weights are read when a result is served."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import NotRequired, TypedDict

from khive_supervisor.host.zone import zone_of
from khive_supervisor.profiles.model import Profile
from khive_supervisor.profiles.resolve import describe
from khive_supervisor.search.ranking import Means, RankingProfile, RankWeights
from khive_supervisor.search.results import SearchResults
from khive_supervisor.store.interface import Store
from khive_supervisor.store.model import EntryFilter
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.kept import Serve

#: The kinds of consumer that the built-in packs serve.
RECALL, SEARCH = "recall", "search"


class ServedBy(TypedDict):
    """An answer's name; where a binding chose the profile that ranked it, both of these."""

    serve: str
    profile: NotRequired[str]
    binding: NotRequired[str]


def ranking_profile(store: Store, profile: Profile) -> RankingProfile:
    """Return how a profile ranks."""
    weights = profile.weights
    means = RankWeights(weights.relevance.mean, weights.salience.mean, weights.temporal.mean)

    def of_targets(entries: Sequence[int]) -> Means:
        found = store.profiles.targets_of(profile.id, entries)
        return {entry: beta.mean for entry, beta in found.items()}

    # A profile without a single event knows no entry: nothing to look up.
    return RankingProfile(means, of_targets if profile.events else None)


def serve(
    context: Context,
    query: str,
    where: EntryFilter,
    kind: str,
    *,
    limit: int,
    floor: float | None = None,
    now: float | None = None,
) -> tuple[SearchResults, ServedBy]:
    """Search as the profile that serves this session ranks; and by which one it was, and why.

    `now` is the moment that it is about, in unix seconds; None is this one. Of another moment,
    each piece of a document is a result: what stood in its place then may be of another one.
    """
    (namespace,) = where.namespaces or (context.namespace(None),)
    found = context.profiles.snapshot().resolve(context.session.actor, namespace, kind)
    answer = context.search.search(
        query,
        where,
        limit=limit,
        now=context.now() if now is None else now,
        profile=ranking_profile(context.whole_store, found.profile),
        floor=floor,
        by_document=now is None,
        zone=zone_of(context.session.environment),
    )
    name = secrets.token_hex(4)
    shown = (one.entry.id for hit in answer.hits for one in hit.every)
    context.served.add(shown, Serve(name, found.profile.name))
    served_by: ServedBy = {"serve": name}
    if found.binding is not None:
        served_by |= {"profile": found.profile.name, "binding": describe(found.binding)}
    return answer, served_by
