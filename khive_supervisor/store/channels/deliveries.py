"""What may be asked of a store about channels: who is told, and what is on its way to them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

#: What a message can be: gathered for a digest, to be sent, sent, given up, part of another one.
GATHERING, WAITING, SENT, DEAD, JOINED = STATES = (
    "gathering",
    "waiting",
    "sent",
    "dead",
    "joined",
)


@dataclass(frozen=True, slots=True)
class Subscription:
    """A channel as the store knows it.

    Attributes:
        name: the configuration's.
        since: when it was first configured, or configured again, in unix seconds.
        problem: why nothing can be sent now; empty if it can, or nobody has tried.
        places: the last entry of each audit chain that was looked at for it.
    """

    name: str
    since: float
    problem: str = ""
    places: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """A message to be delivered: `message` is JSON, `wait` the seconds until it is due.

    One that is to be gathered waits for others, and is joined with them.
    """

    key: str
    kind: str
    subject: str
    message: str
    made_at: float
    wait: float = 0.0
    gather: bool = False


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message on its way, or at its end; times are unix seconds."""

    id: int
    channel: str
    key: str
    kind: str
    subject: str
    message: str
    state: str
    made_at: float
    due_at: float
    attempts: int
    ended_at: float | None
    error: str


class DeliveryStore(Protocol):
    """Channels, and the messages for each, in the order in which they were made."""

    def subscriptions(self) -> list[Subscription]:
        """Return all channels by their names."""
        ...

    def keep_only(self, names: Collection[str]) -> None:
        """Know these channels and no others; in a team, those that other nodes know stay, too.

        A new one is told of what comes from now on; all that there is of others is deleted.
        """
        ...

    def feed(
        self, channel: str, seq: int, found: Sequence[NewDelivery], *, origin: str = ""
    ) -> None:
        """Add messages, and note up to which entry of an audit chain that was all.

        A message whose key the channel has already is left out. Nothing happens to a channel that
        is not known any more.
        """
        ...

    def signal(self, name: str, state: str, found: Mapping[str, NewDelivery]) -> bool:
        """Note what is seen of something, and add what channels are told of that.

        `found` has the message for each channel. Returns False, and does nothing, if the same was
        seen before.
        """
        ...

    def following(self, channel: str) -> Delivery | None:
        """Return the message that is to be sent next; None if none is due.

        No message comes before an earlier one of its subject, nor before an earlier one that
        tells of several things; and that one comes after all earlier ones.
        """
        ...

    def gathered(self, channel: str) -> list[Delivery]:
        """Return what is gathered, if the first of it is due; else nothing."""
        ...

    def join(self, channel: str, ids: Sequence[int], into: NewDelivery) -> None:
        """Put a message in the place of those that it tells of."""
        ...

    def postpone(self, ids: Sequence[int], wait: float) -> None:
        """Let messages be due in so many seconds, without counting it as an attempt."""
        ...

    def end(self, delivery_id: int, state: str, error: str = "") -> None:
        """Note that a message was sent, or is given up; one more attempt."""
        ...

    def again(self, delivery_id: int, wait: float, error: str) -> None:
        """Note that an attempt has failed, and let the message be due in so many seconds."""
        ...

    def trouble(self, channel: str, problem: str) -> None:
        """Note why nothing can be sent to a channel; empty: it can."""
        ...

    def due_in(self, channel: str) -> float | None:
        """Return the seconds until something of a channel may be due; None if nothing waits."""
        ...

    def page(
        self, channel: str | None = None, state: str | None = None, limit: int = 50
    ) -> list[Delivery]:
        """Return messages, the newest first."""
        ...

    def find(self, delivery_id: int) -> Delivery | None:
        """Return a message."""
        ...

    def counts(self) -> Mapping[tuple[str, str], int]:
        """Return how many messages there are, by channel and state."""
        ...

    def retry(self, channel: str) -> int:
        """Let what was given up, or waits for its next attempt, be sent now; return how many.

        What was wrong with the channel is forgotten, so that it does not wait either.
        """
        ...

    def forget(self, before: float, limit: int) -> int:
        """Delete messages and signals that ended before then, at most so many; return how many."""
        ...
