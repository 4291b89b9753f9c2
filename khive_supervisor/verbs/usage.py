"""What a session does with what it was served: learning that asks nothing of the agent.

Whoever reads an entry in full, cites it, corrects it or remembers it once more after it was
recalled has found it useful. Such feedback counts half a clear word, and all of it together for one
entry never more than one (`profiles.admission`). `profiles.implicit_feedback` switches it off.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from khive_supervisor import logs
from khive_supervisor.errors import KhiveError
from khive_supervisor.profiles.model import IMPLICIT, NewEvent
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.kept import Serve
from khive_supervisor.verbs.serving import RECALL

log = logs.get("khive.usage")

_CITED = re.compile(r"(?<![\w-])([mk])([1-9][0-9]{0,17})(?![\w-])")


def cited(text: str) -> list[int]:
    """Return the numbers of the ids that a text names, such as m12."""
    return [int(number) for _, number in _CITED.findall(text)]


def used(context: Context, entries: Iterable[int], how: str) -> None:
    """Learn that entries were of use to the session, as far as it was served them."""
    _learn(context, context.served.take(entries), how)


def corrected(context: Context, old: int, new: int) -> None:
    """Learn that an entry was worth correcting: it speaks for its successor."""
    serve = context.served.take([old]).get(old)
    _learn(context, {new: serve} if serve else {}, "corrected")


def concluded(context: Context, entries: Iterable[int], how: str, *, positive: bool) -> None:
    """Learn of entries that were put into a session whether it did something with them."""
    namespace = context.default_namespace
    profile = context.profiles.serving(context.session.actor, namespace, RECALL)
    serve = Serve("", profile)
    signal = "implicit_positive" if positive else "implicit_negative"
    _learn(context, dict.fromkeys(entries, serve), how, signal)


def _event(context: Context, entry: int, serve: Serve, how: str, signal: str) -> NewEvent:
    return NewEvent(
        profile=serve.profile,
        kind=IMPLICIT,
        signal=signal,
        entry_id=entry,
        actor=context.session.actor,
        namespace=context.default_namespace,
        session=context.session.id,
        serve=serve.name,
        detail={"by": how},
    )


def _learn(
    context: Context, found: Mapping[int, Serve], how: str, signal: str = "implicit_positive"
) -> None:
    if not found or not context.config.profiles.implicit_feedback:
        return
    events = [_event(context, entry, serve, how, signal) for entry, serve in found.items()]
    try:
        context.store.feedback.record_many(events)
    except KhiveError as error:  # the profile is gone, the disk full: what was asked for is done
        log.info("usage.not_recorded", error=str(error))
        return
    context.profiles.changed()
