"""One channel's messages, sent one after another; none of it holds up another channel."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from khive_supervisor import logs
from khive_supervisor.channels import retrying
from khive_supervisor.channels.addresses import Address, Unusable
from khive_supervisor.channels.hours import QuietHours
from khive_supervisor.channels.messages import gathered
from khive_supervisor.channels.retrying import Attempt, Bounds
from khive_supervisor.channels.stored import new_delivery, read_message
from khive_supervisor.config.settings.channels import Channel
from khive_supervisor.errors import KhiveError
from khive_supervisor.store.channels.deliveries import DEAD, SENT, Delivery
from khive_supervisor.store.interface import Store
from khive_supervisor.store.workflows.offices import Office
from khive_supervisor.text.plain_json import JsonObject
from khive_workers.notifier.sending import request_of

log = logs.get("khive.channels")
_JITTER = random.SystemRandom()

#: Seconds after which a channel looks by itself, and tries an address again that was unusable.
LOOK_AGAIN, UNUSABLE_FOR = 60.0, 60.0
#: Seconds after the store did not do what it was asked.
STORE_AGAIN = 1.0
#: Seconds until a node of a team that does not send looks whether it is the one now, and beyond the
#: channel's timeout until what a node was sending is sent by another one.
STAND_BY, CLAIMED_FOR = 1.0, 5.0

#: Runs something with the store, in its thread.
WithStore = Callable[[Callable[[Store], Any]], Awaitable[Any]]


class Sends(Protocol):
    """Sends one message within a time in seconds."""

    async def send(self, request: JsonObject, patience: float) -> Attempt:
        """Return what came of it; never raises for what a receiver does."""
        ...


@dataclass(slots=True)
class Deliverer:
    """Sends what is due for one channel; at most one message at a time.

    Attributes:
        address: returns where to send, or raises `Unusable`.
        quiet_left: returns the seconds until quiet hours end; 0 outside of them.
        office: returns the office of whoever sends to the channel, one node of a team; asked where
            the store is.
    """

    channel: Channel
    with_store: WithStore
    sends: Sends
    address: Callable[[], Address]
    quiet_left: Callable[[QuietHours], float]
    clock: Callable[[], float] = time.monotonic
    wall_clock: Callable[[], float] = time.time
    jitter: Callable[[], float] = _JITTER.random
    office: Callable[[], Office] = field(default=lambda: Office(""))
    _wanted: asyncio.Event = field(default_factory=asyncio.Event)
    _failures: int = 0
    _paused_until: float = 0.0

    def wake(self) -> None:
        """Something may be due."""
        self._wanted.set()

    async def run(self) -> None:
        """Send what comes to be due, until cancelled."""
        while True:
            self._wanted.clear()
            try:
                wait = await self.turn()
            except (KhiveError, OSError) as error:  # busy, full, damaged: later it may do better
                log.warning("channel.store", channel=self.channel.name, error=str(error))
                wait = STORE_AGAIN
            if wait > 0:
                await self._pause(wait)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wanted.wait()
        except TimeoutError:
            return

    async def turn(self) -> float:
        """Send one message if one is due; return the seconds until the next turn."""
        name = self.channel.name
        if (left := self._paused_until - self.clock()) > 0:
            self._wanted.clear()
            if not await self.with_store(self._is_wanted_now):
                return left
            self._paused_until, self._failures = 0.0, 0
        if not await self.with_store(lambda s: self.office().held(s.offices)):
            return STAND_BY
        await self._join_gathered()
        found: Delivery | None = await self.with_store(lambda s: s.deliveries.following(name))
        if found is None:
            due = await self.with_store(lambda s: s.deliveries.due_in(name))
            return LOOK_AGAIN if due is None else min(max(due, 0.05), LOOK_AGAIN)
        try:
            address = self.address()
        except Unusable as unusable:
            return await self._unusable(str(unusable))
        await self.with_store(lambda s: self._claim(s, found))
        await self._deliver(found, address)
        return 0.0

    def _claim(self, store: Store, found: Delivery) -> None:
        """In a team: have nobody else send it meanwhile, unless somebody else is the one by now.

        Should this process end, the next holder of the office sends it when it is due again.
        """
        if store.offices.elected:
            patience = self.channel.timeout + CLAIMED_FOR
            self._act(store, lambda: store.deliveries.postpone([found.id], patience))

    def _act(self, store: Store, act: Callable[[], None]) -> None:
        if not store.offices.elected:
            act()
            return
        with store.transaction(), self.office().acting(store.offices):
            act()

    def _is_wanted_now(self, store: Store) -> bool:
        """Return True if somebody has had the channel's trouble forgotten: it is tried now."""
        known = store.deliveries.subscriptions()
        return any(one.name == self.channel.name and not one.problem for one in known)

    async def _unusable(self, problem: str) -> float:
        """Say why nothing can be sent; what waits goes on waiting."""
        await self.with_store(lambda s: s.deliveries.trouble(self.channel.name, problem))
        self._paused_until = self.clock() + UNUSABLE_FOR
        return UNUSABLE_FOR

    async def _join_gathered(self) -> None:
        """Make one message of what was gathered, once that is due and nobody is asleep."""
        name = self.channel.name
        found: list[Delivery] = await self.with_store(lambda s: s.deliveries.gathered(name))
        if not found:
            return
        ids = [one.id for one in found]
        quiet = QuietHours.of(self.channel.quiet)
        if quiet is not None and (left := self.quiet_left(quiet)) > 0:
            await self.with_store(lambda s: self._act(s, lambda: s.deliveries.postpone(ids, left)))
            return
        key = f"{found[0].key}+{len(found)}"
        joined = new_delivery(gathered([read_message(one) for one in found], key))
        await self.with_store(lambda s: self._act(s, lambda: s.deliveries.join(name, ids, joined)))

    async def _deliver(self, found: Delivery, address: Address) -> None:
        channel = self.channel
        message = read_message(found)
        request = request_of(message, address, channel.command, channel.kind, channel.timeout)
        attempt = await self.sends.send(request, channel.timeout)
        self._failures = 0 if attempt.verdict is retrying.Verdict.DELIVERED else self._failures + 1
        step = retrying.after(
            attempt,
            found.attempts + 1,
            self.wall_clock() - found.made_at,
            max(1, self._failures),
            Bounds(channel.attempts, channel.give_up),
            self.jitter(),
        )
        if step.pause:
            self._paused_until = self.clock() + step.pause
        await self._note(found, step)

    async def _note(self, found: Delivery, step: retrying.NextStep) -> None:
        """Write down what became of a message; it is tried until the store takes it."""
        name, why = self.channel.name, step.why

        def note(store: Store) -> None:
            if step.state == SENT:
                store.deliveries.end(found.id, SENT)
            elif step.state == DEAD:
                log.error("channel.gave_up", channel=name, message=found.id, why=why)
                store.deliveries.end(found.id, DEAD, why)
            else:
                store.deliveries.again(found.id, step.wait, why)
            store.deliveries.trouble(name, why)

        await self.with_store(note)
