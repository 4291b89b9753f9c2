"""Whether a newer statement answers a question as well as an older one about the same; pure."""

from __future__ import annotations

from dataclasses import dataclass

from khive_supervisor.truth.reading import Reading

#: How near two statements are that may be about the same: the cosine of their vectors.
ALIKE = 0.5
#: What the newer one may have less of: of the query's words, of their weight, and of its cosine.
LESS_COVERAGE, LESS_COSINE, LESS_FIT = 0.06, 0.15, 0.2


@dataclass(frozen=True, slots=True)
class Answering:
    """How one statement answers a query.

    `fit` is what it is shown with, `coverage` the share of the query's words by their weight,
    `names` that of its names, `cosine` its nearness in meaning, None where that is not known, and
    `learned_boost` what was learned of it, 1 where nothing was.
    """

    fit: float
    coverage: float
    names: float
    cosine: float | None
    learned_boost: float = 1.0


def tells_of_a_change(newer: Reading, older: Reading) -> bool:
    """Return True if the newer text says that what the older one is about is not as it was."""
    subjects = {statement.order[0] for statement in older.statements}
    return any(one.event and subjects & one.said.keys() for one in newer.statements)


def answers_as_well(older: Answering, newer: Answering, alike: float, *, changed: bool) -> bool:
    """Return True if the newer of two short statements may take the older one's place before it.

    `alike` is the cosine of both. Nothing says that they disagree: of two that answer equally well
    and are about the same, the newer is the likelier to hold. One that tells of a `changed` subject
    need not have the words of what that was before.
    """
    if alike < ALIKE or newer.names < older.names or newer.fit < older.fit - LESS_FIT:
        return False
    return changed or (
        newer.learned_boost >= older.learned_boost
        and newer.coverage >= older.coverage - LESS_COVERAGE
        and (newer.cosine or 0.0) >= (older.cosine or 0.0) - LESS_COSINE
    )
