"""Checking all chains that a node has, against the heads that were kept or published. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from khive_supervisor.audit.chain import Head, beginning
from khive_supervisor.audit.verify import Chain, Report, verify_chain


class Chains(Protocol):
    """The chains of a store."""

    @property
    def origin(self) -> str:
        """Whose chain goes on here."""
        ...

    def origins(self) -> list[str]:
        """Return whose chains there are."""
        ...

    def chain(self, origin: str) -> Chain:
        """Return one."""
        ...


@dataclass(frozen=True, slots=True)
class PublishedHead:
    """The head that a node has let the server hold, once the log had come to `number`."""

    head: Head
    number: int


@dataclass(frozen=True, slots=True)
class ChainsReport:
    """What came of a check of all chains.

    Attributes:
        origin: whose chain goes on here.
        reports: of each chain, by whose it is.
        published: how many heads that were published are in these chains.
        elsewhere: heads of chains of which this node has nothing: it may not see them.
    """

    origin: str
    reports: dict[str, Report]
    published: int = 0
    elsewhere: tuple[Head, ...] = ()

    @property
    def intact(self) -> bool:
        """Whether all of them are right, and every head is in its chain."""
        return all(report.intact for report in self.reports.values())

    def as_dict(self) -> dict[str, Any]:
        """Plain data that JSON can carry: this node's own chain, and in a team all of them."""
        own = self.reports[self.origin].as_dict()
        if [*self.reports] == [""]:
            return own
        chains = [{"node": o, **report.as_dict()} for o, report in self.reports.items()]
        elsewhere = [head.as_dict() for head in self.elsewhere]
        return own | {
            "intact": self.intact,
            "node": self.origin,
            "chains": chains,
            "published_heads": self.published,
            "elsewhere": elsewhere,
        }


def verify_chains(
    chains: Chains,
    heads: Sequence[Head] = (),
    published: Sequence[PublishedHead] = (),
    position: int = 0,
) -> ChainsReport:
    """Check every chain that is here, and that the heads are in them.

    Args:
        chains: what is here.
        heads: what was kept elsewhere: its chain has to be here.
        published: what nodes have published. Of a chain that is not here at all it is only told.
        position: the last change of the team's log that is here: what was published after it says
            nothing yet.
    """
    here = chains.origins()
    of_chains = [one.head for one in published if one.head.origin in here]
    ready = [one.head for one in published if one.head.origin in here and one.number <= position]
    origins = sorted({chains.origin, *here, *(head.origin for head in heads)})
    reports = {
        origin: verify_chain(
            chains.chain(origin),
            [head for head in (*heads, *ready) if head.origin == origin],
            beginning(origin),
        )
        for origin in origins
    }
    elsewhere = [one.head for one in published if one.head not in of_chains]
    return ChainsReport(chains.origin, reports, len(ready), tuple(elsewhere))
