"""Whether a session did something with what it was told: feedback that nobody has to give.

Bounded as all that is concluded is: see `profiles.admission`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from khive_supervisor.briefing.usage import made_use
from khive_supervisor.store.journal.model import EventKind, JournalEvent, Speaker
from khive_supervisor.store.journal.sessions import ClientSession, Injection
from khive_supervisor.verbs import forms, usage
from khive_supervisor.verbs.context import Context


def judge(context: Context, session: ClientSession, *, ended: bool) -> None:
    """Learn what of that was used; with `ended`, also what was not."""
    pending = [
        one
        for one in context.store.injections.of_session(session.client, session.session)
        if one.used is None and one.event != "start"
    ]
    if not pending:
        return
    events = context.store.journal.of_session(session.client, session.session)
    entries = {one.id: one for one in context.store.entries.get([p.entry for p in pending])}
    used = [
        one
        for one in pending
        if one.entry in entries
        and made_use(
            entries[one.entry].content,
            forms.show_id(entries[one.entry].collection, one.entry),
            _asked(events, one),
            _said(events, one),
        )
    ]
    _note(context, used, True)
    if ended:
        _note(context, [one for one in pending if one not in used], False)


def _note(context: Context, found: Sequence[Injection], used: bool) -> None:
    if found:
        context.store.injections.judge(found, used)
        entries = dict.fromkeys(one.entry for one in found)
        usage.concluded(context, entries, "used" if used else "neglected", positive=used)


def _asked(events: Iterable[JournalEvent], injection: Injection) -> str:
    before = [one.text for one in events if one.speaker != Speaker.AGENT and one.at <= injection.at]
    return " ".join(before[-3:])


def _said(events: Iterable[JournalEvent], injection: Injection) -> list[str]:
    kinds = (EventKind.ANSWER, EventKind.COMMAND, EventKind.EDIT)
    later = (one for one in events if one.kind in kinds and one.at >= injection.at)
    return [f"{one.text} {one.path}" for one in later]
