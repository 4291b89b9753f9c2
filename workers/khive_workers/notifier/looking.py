"""What happened, as the store and the machine tell: events out of the audit chain, and signals."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from khive_supervisor.audit.chain import AuditEntry
from khive_supervisor.budgets.account import EXCEEDED, NEAR
from khive_supervisor.channels import events
from khive_supervisor.channels.events import Event, is_for, kinds_of, wanted_kind
from khive_supervisor.channels.hours import QuietHours, wait_of
from khive_supervisor.channels.messages import message_of
from khive_supervisor.channels.stored import new_delivery
from khive_supervisor.config.settings.channels import Channel
from khive_supervisor.host.zone import zone_of
from khive_supervisor.store.channels.deliveries import NewDelivery, Subscription
from khive_supervisor.store.interface import Store
from khive_supervisor.store.journal.sessions import SessionState
from khive_supervisor.store.workflows.offices import Office, channel_office
from khive_supervisor.text.plain_json import JsonObject

#: Entries of the chain that are looked at in one transaction.
AT_ONCE = 500
#: Entries that led to nothing, after which that is noted all the same.
NOTE_AFTER = 5000
#: Seconds for which a session waits before somebody is told, and after which it is left alone.
PATIENCE, FORGOTTEN = 60.0, 6 * 3600.0
#: Bytes that are free when a disk is nearly full, and when it is not any more.
DISK_LOW, DISK_WELL = 1 << 30, 3 << 29
#: Sessions that are looked at.
_SESSIONS = 50


@dataclass(slots=True)
class Looker:
    """Puts what happened into the store, as messages for each channel that wants it.

    Used by one thread. What was put there once is not put there again, whoever asks how often.
    """

    store: Store
    channels: Sequence[Channel]
    wall_clock: Callable[[], float] = time.time
    free: Callable[[str], int] = lambda path: os.statvfs(path).f_bavail * os.statvfs(path).f_frsize
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    _looked: dict[tuple[str, str], int] = field(default_factory=dict)
    _offices: dict[str, Office] = field(default_factory=dict)

    def begin(self) -> None:
        """Know exactly these channels from now on."""
        self.store.deliveries.keep_only([channel.name for channel in self.channels])

    def look(self) -> bool:
        """Look at what the chains have more for each channel; return True if there was anything."""
        known = {one.name: one for one in self.store.deliveries.subscriptions()}
        fed = [self._feed(one, known[one.name]) for one in self.channels if one.name in known]
        return any(fed)

    def office_of(self, channel: Channel) -> Office:
        """Return the office of whoever has a channel told."""
        name = channel_office(channel.name)
        return self._offices.setdefault(name, Office(name))

    def _chains(self) -> list[str]:
        """Return whose chains are looked at: all, where one node does so for its whole team."""
        audit = self.store.audit
        return audit.origins() if self.store.offices.elected else sorted({"", audit.origin})

    def _feed(self, channel: Channel, subscription: Subscription) -> bool:
        office = self.office_of(channel)
        if not office.held(self.store.offices):
            return False
        fed = [self._feed_chain(channel, subscription, one, office) for one in self._chains()]
        return any(fed)

    def _feed_chain(
        self, channel: Channel, subscription: Subscription, origin: str, office: Office
    ) -> bool:
        noted, place = subscription.places.get(origin, 0), (channel.name, origin)
        after = max(noted, self._looked.get(place, 0))
        chain = self.store.audit.chain(origin)
        entries = list(itertools.islice(chain.entries(after), AT_ONCE))
        if not entries:
            return False
        found = [one for entry in entries for one in self._wanted(channel, entry)]
        last = entries[-1].seq
        if found or last - noted > NOTE_AFTER:
            self._note(channel, last, found, origin, office)
        self._looked[place] = last
        return True

    def _note(
        self, channel: Channel, seq: int, found: list[NewDelivery], origin: str, office: Office
    ) -> None:
        if not self.store.offices.elected:
            self.store.deliveries.feed(channel.name, seq, found, origin=origin)
            return
        with self.store.transaction(), office.acting(self.store.offices):
            self.store.deliveries.feed(channel.name, seq, found, origin=origin)

    def _wanted(self, channel: Channel, entry: AuditEntry) -> Iterator[NewDelivery]:
        detail = _detail(entry)
        kind = wanted_kind(channel, kinds_of(entry.kind, detail))
        if not kind:
            return
        key = f"{self.store.past().hex()[:8]}-{entry.name}"
        event = Event(kind, entry.subject, entry.at, key, detail=detail)
        event = self._known(event) if entry.subject.startswith("task/") else _of_role(event)
        if is_for(channel, event):
            yield self._delivery(channel, event)

    def _known(self, event: Event) -> Event:
        """Return an event of a task with what is known of the task."""
        number = event.subject.removeprefix("task/t")
        task = self.store.tasks.find(int(number)) if number.isdecimal() else None
        if task is None:
            return event
        project = str((task.project or {}).get("name", ""))
        about = {"role": task.role, "task_type": task.task_type, "project": project}
        detail = about | {"error": task.error or ""} if task.error else about
        return Event(event.kind, event.subject, event.at, event.key, task.role, project, detail)

    def _delivery(self, channel: Channel, event: Event) -> NewDelivery:
        message = message_of(event, contents=channel.contents)
        wait = wait_of(channel.digest, QuietHours.of(channel.quiet), self.local())
        return new_delivery(message, wait, gather=wait > 0)

    def local(self) -> dt.datetime:
        """Return the time on this machine's clock, in its zone."""
        return dt.datetime.fromtimestamp(self.wall_clock(), zone_of(self.environ))

    # --- signals --------------------------------------------------------------------------------

    def look_around(self) -> bool:
        """Look at what is no entry of the chain; return True if anything is to be told."""
        told = [self._sessions(), self._budgets(), self._disk()]
        return any(told)

    def _tell(
        self, name: str, state: str, event: Event | None, channels: Sequence[Channel] | None = None
    ) -> bool:
        """Note a state, and tell channels of the event if it is another one than before."""
        found = {
            channel.name: self._delivery(channel, event)
            for channel in (self.channels if channels is None else channels)
            if event is not None and wanted_kind(channel, (event.kind,)) and is_for(channel, event)
        }
        return self.store.deliveries.signal(name, state, found) and bool(found)

    def _sessions(self) -> bool:
        now = self.wall_clock()
        told = False
        for one in self.store.client_sessions.page(limit=_SESSIONS):
            waits = PATIENCE <= now - one.seen_at < FORGOTTEN and bool(one.last_prompt)
            if one.state != SessionState.WAITING or not waits:
                continue
            name = f"session/{self._here}{one.client}/{one.session}"
            detail = {"client": one.client, "cwd": one.cwd, "last_prompt": one.last_prompt}
            key = f"{name}/{one.seen_at:.3f}"
            event = Event(events.WAITS_FOR_YOU, name, one.seen_at, key, detail=detail)
            told |= self._tell(name, f"{one.seen_at:.3f}", event)
        return told

    def _budgets(self) -> bool:
        told = False
        for account in self.store.budgets.accounts():
            kind = {NEAR: events.BUDGET_NEAR, EXCEEDED: events.BUDGET_EXCEEDED}.get(account.state)
            name, now = f"budget/{account.role}", self.wall_clock()
            event = None
            if kind is not None:
                detail = {"role": account.role}
                key = f"{name}/{account.state}/{now:.3f}"
                event = Event(kind, name, now, key, account.role, detail=detail)
            told |= self._tell_once(name, account.state, event)
        return told

    def _tell_once(self, name: str, state: str, event: Event | None) -> bool:
        """Like `_tell`, for what all nodes of a team see: each channel is told by one of them."""
        offices = self.store.offices
        if not offices.elected:
            return self._tell(name, state, event)
        ours = [one for one in self.channels if self.office_of(one).held(offices)]
        told = [self._tell(f"{name}/{one.name}", state, event, [one]) for one in ours]
        return any(told)

    def _disk(self) -> bool:
        try:
            free = self.free(os.path.dirname(self.store.path))
        except OSError:
            return False
        if DISK_LOW <= free < DISK_WELL:
            return False
        low, now = free < DISK_LOW, self.wall_clock()
        detail = {"free": f"{free >> 20} MiB"}
        name = f"disk/{self._here}store"
        event = Event(events.DISK_LOW, name, now, f"{name}/{now:.3f}", detail=detail)
        return self._tell(name, "low" if low else "well", event if low else None)

    @property
    def _here(self) -> str:
        """What stands before what is one machine's own, where nodes of a team share messages."""
        return f"{self.store.node}/" if self.store.offices.elected else ""


def _detail(entry: AuditEntry) -> JsonObject:
    try:
        found = json.loads(entry.detail)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _of_role(event: Event) -> Event:
    """Return an event of a role as one of that role; others as they are."""
    group, _, name = event.subject.partition("/")
    role = name.partition("/")[0] if group == "role" else ""
    return Event(event.kind, event.subject, event.at, event.key, role, detail=event.detail)
