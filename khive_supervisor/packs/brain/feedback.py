"""The brain pack's verbs on feedback: give it, count it, compute it again."""

from __future__ import annotations

from khive_supervisor.errors import InvalidInput
from khive_supervisor.packs.brain import profile_forms as shapes
from khive_supervisor.profiles import model, signals
from khive_supervisor.profiles.names import missing
from khive_supervisor.profiles.replay import verify
from khive_supervisor.store.model import Entry
from khive_supervisor.verbs import forms
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Answer, Arguments

#: Characters of a query that its event keeps.
QUERY_LIMIT = 500
#: The kind of consumer that entries of a collection are served to.
SERVED_AS = {"memory": "recall", "knowledge": "search"}


def feedback(context: Context, args: Arguments) -> Answer:
    """Say what an entry was worth."""
    (entry,) = forms.allowed(context, forms.existing(context.store, [args["target"]]))
    event = model.NewEvent(
        profile=_profile(context, args, entry),
        kind=model.FEEDBACK,
        signal=args["signal"],
        entry_id=entry.id,
        actor=context.session.actor,
        namespace=context.namespace(None),
        session=context.session.id,
        scorer_run=shapes.text(args, "scorer_run") if "scorer_run" in args else None,
        serve=shapes.text(args, "serve") if "serve" in args else None,
    )
    return {**_record(context, event), "target": args["target"].strip()}


def auto_feedback(context: Context, args: Arguments) -> Answer:
    """Say how a recall went, for its profile to learn from."""
    ids = list(dict.fromkeys(one["id"].strip() for one in args["results"]))
    entries = forms.allowed(context, forms.existing(context.store, ids))
    signal, target = _outcome(args, ids)
    known = dict(zip(ids, entries, strict=True))
    first = known[target] if target else next(iter(entries), None)
    event = model.NewEvent(
        profile=_profile(context, args, first),
        kind=model.AUTO_FEEDBACK,
        signal=signal,
        entry_id=known[target].id if target else None,
        actor=context.session.actor,
        namespace=context.namespace(None),
        session=context.session.id,
        latency_us=args.get("latency_us"),
        detail={"query": shapes.text(args, "query")[:QUERY_LIMIT], "results": ids},
    )
    return {**_record(context, event), **({"target": target} if target else {})}


def _outcome(args: Arguments, ids: list[str]) -> tuple[str | None, str | None]:
    """Return the signal and the target of a recall's feedback; see the verb's description."""
    target = args["target"].strip() if "target" in args else None
    signal = args.get("signal", signals.RECALL_HIT if target else None)
    if signal == signals.RECALL_MISS and target:
        raise InvalidInput(
            f"A recall that missed has no target, and {target} is named.",
            hint="Leave target out if nothing helped, or signal if the target did.",
        )
    if signal == signals.RECALL_HIT and not target:
        raise InvalidInput(
            "A recall that hit names the result that helped.", hint="Give target, or abstain."
        )
    if target and target not in ids:
        raise InvalidInput(
            f"{target[:80]} is not among the results.",
            hint="Name one of them; brain.feedback takes any entry.",
        )
    return signal, target


def _profile(context: Context, args: Arguments, entry: Entry | None) -> str:
    """Return the profile that is named, else the one that serves this session such entries."""
    if "profile" in args:
        return str(args["profile"]).strip()
    kind = SERVED_AS.get(entry.collection, "recall") if entry else "recall"
    return context.profiles.serving(context.session.actor, context.namespace(None), kind)


def _record(context: Context, event: model.NewEvent) -> Answer:
    """Record an event; what became of it, in words where less counted than was said."""
    done = context.store.feedback.record(event)
    if done.counted and not done.duplicate:
        context.profiles.changed()
    answer: dict[str, object] = {
        "status": "duplicate" if done.duplicate else "recorded",
        "profile": event.profile,
        "event": done.seq,
        "weight": done.weight,
        "counted": 0.0 if done.duplicate else round(done.counted, 4),
    }
    if event.signal is not None:
        answer["signal"] = event.signal
    note = _note(event, done)
    return {**answer, "note": note} if note else answer


def _note(event: model.NewEvent, done: model.Recorded) -> str:
    if done.duplicate:
        return f"This judgement was recorded before, as event {done.seq}; it counts once."
    if event.signal is None:
        return "Noted; without a signal nothing counts."
    if done.counted < done.weight:
        who = "What this session says" if event.session else "What this actor says"
        if signals.SIGNALS[event.signal].implicit:
            who = "Implicit feedback"
        return (
            f"{who} about one target counts up to a limit that frees itself within weeks: of "
            f"{done.weight:g}, {done.counted:.4g} counted. The event is kept."
        )
    return ""


def event_counts(context: Context, args: Arguments) -> Answer:
    """Return how much feedback there was."""
    now, group = context.now(), args.get("group", "kind")
    since = forms.moment(args["since"], now)
    until = forms.moment(args["until"], now) if "until" in args else None
    actor = shapes.text(args, "actor") if "actor" in args else None
    counts = context.store.profiles.event_counts(
        since, until, group, actor, feedback=args.get("feedback", False)
    )
    return {
        "since": forms.timestamp(since),
        "until": forms.timestamp(now if until is None else until),
        "counts": [
            {group: one.group, "events": one.events, "counted": round(one.counted, 4)}
            for one in counts
        ],
        "events": sum(one.events for one in counts),
    }


def replay(context: Context, args: Arguments) -> Answer:
    """Compute profiles again from their events, and compare; nothing is written."""
    if "name" in args:
        name = args["name"].strip()
        if context.store.profiles.find(name) is None:
            raise missing(name)
        names = [name]
    else:
        names = [profile.name for profile in context.store.profiles.all()]
    checked = {name: verify(context.store.profiles, name) for name in names}
    return {
        "equal": not any(checked.values()),
        "profiles": [
            {"name": name, "equal": not wrong, **({"differences": wrong} if wrong else {})}
            for name, wrong in checked.items()
        ],
    }
