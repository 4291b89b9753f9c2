"""The channels pack: what is configured, what is on its way, and a message to try one."""

from __future__ import annotations

import time

from khive_supervisor.access.grant import Audience
from khive_supervisor.channels import events
from khive_supervisor.channels.events import TEST, Event
from khive_supervisor.channels.messages import message_of
from khive_supervisor.channels.stored import new_delivery, read_message
from khive_supervisor.config.settings.channels import Channel, channel_as_dict
from khive_supervisor.errors import NotFound
from khive_supervisor.store.channels.deliveries import STATES, WAITING, Delivery
from khive_supervisor.text.plain_json import JsonObject
from khive_supervisor.verbs import forms, schema
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Answer, Arguments, Pack, Verb

#: Messages that are listed unless asked otherwise, and at most; seconds that a test is waited for.
LISTED, LISTED_MAX = 20, 500
WAIT, LOOK_EVERY = 20.0, 0.1

_NAME = schema.text("The channel's name.", shortest=1)


def listed(context: Context, _args: Arguments) -> Answer:
    """Return the channels that are configured, and how each does."""
    counts = context.store.deliveries.counts()
    known = {one.name: one for one in context.store.deliveries.subscriptions()}
    return {
        "channels": [
            {
                "name": channel.name,
                "kind": channel.kind,
                "events": list(channel.events or events.USUAL),
                "problem": known[channel.name].problem if channel.name in known else "",
                **{state: counts.get((channel.name, state), 0) for state in STATES},
                "configured": channel_as_dict(channel),
            }
            for channel in context.config.channels
        ]
    }


def log(context: Context, args: Arguments) -> Answer:
    """Return messages, newest first, and what became of each."""
    name = args.get("channel")
    if name is not None:
        _channel(context, name)
    found = context.store.deliveries.page(name, args.get("state"), args.get("limit", LISTED))
    return {"messages": [show(one) for one in found]}


def try_out(context: Context, args: Arguments) -> Answer:
    """Have a message sent that says that it is a test, and wait for what becomes of it."""
    channel = _channel(context, args["channel"])
    store, now = context.store.deliveries, context.now()
    key = f"test-{context.store.past().hex()[:8]}-{int(now * 1000)}"
    event = Event(TEST, f"channel/{channel.name}/{key}", now, key)
    message = message_of(event, contents=False)
    store.trouble(channel.name, "")  # a receiver that was in trouble is tried all the same
    store.feed(channel.name, 0, [new_delivery(message)])
    found = _wait_for(context, channel.name, key, args.get("timeout", WAIT))
    if found is None:
        raise NotFound(
            f"The channel {channel.name} is not known to the store yet.",
            hint="A supervisor has to run with this configuration: `khive-supervisor reload`.",
        )
    shown = show(found)
    if found.ended_at is None and not found.error:
        shown["error"] = _why_not_tried(context, channel.name)
    return shown


def _why_not_tried(context: Context, name: str) -> str:
    """Return why a message has not been tried yet; another one may be at work, or nobody is."""
    known = context.store.deliveries.subscriptions()
    if problem := next((one.problem for one in known if one.name == name), ""):
        return problem
    waiting = context.store.deliveries.counts().get((name, WAITING), 0) - 1
    if waiting > 0:
        return f"not tried yet; on the way beside it: {waiting}"
    return "nothing has tried to send it: is a supervisor running?"


def retry(context: Context, args: Arguments) -> Answer:
    """Let what a channel has given up, or waits to try again, be sent now."""
    channel = _channel(context, args["channel"])
    return {"channel": channel.name, "again": context.store.deliveries.retry(channel.name)}


def _wait_for(context: Context, channel: str, key: str, timeout: float) -> Delivery | None:
    end = time.monotonic() + timeout
    while True:
        page = context.store.deliveries.page(channel, None, LISTED)
        found = next((one for one in page if one.key == key), None)
        left = end - time.monotonic()
        if found is None or found.ended_at is not None or left <= 0:
            return found
        context.pause(min(LOOK_EVERY, left))


def _channel(context: Context, name: str) -> Channel:
    for channel in context.config.channels:
        if channel.name == name:
            return channel
    names = ", ".join(channel.name for channel in context.config.channels) or "none"
    raise NotFound(
        f"There is no channel {name[:80]!r}.", hint=f"There are: {names}. [[channels]] makes one."
    )


def show(delivery: Delivery) -> JsonObject:
    """Return a message as verbs answer it."""
    message = read_message(delivery)
    ended = delivery.ended_at
    return {
        "id": delivery.id,
        "channel": delivery.channel,
        "kind": delivery.kind,
        "title": message.title,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "made_at": forms.timestamp(delivery.made_at),
        "ended_at": None if ended is None else forms.timestamp(ended),
        "next_at": forms.timestamp(delivery.due_at) if ended is None else None,
        "error": delivery.error,
        "key": delivery.key,
    }


_TELLS = "it tells what everybody has done"
_SENDS = "it sends something to people"

PACK = Pack(
    "channels",
    "Who is told what happens, and what became of each message.",
    (
        Verb("channels.list", "List the channels: their kinds, their events, how they do.", listed,
             read_only=True, audience=Audience.OPERATOR, shared=True, because=_TELLS),
        Verb("channels.log", "List messages to channels, newest first, and what became of them.",
             log,
             {
                 "channel": _NAME,
                 "state": schema.text("Only messages of this state.", choices=STATES),
                 "limit": schema.whole(f"How many at most ({LISTED}).", least=1, most=LISTED_MAX),
             },
             read_only=True, audience=Audience.OPERATOR, shared=True, because=_TELLS),
        Verb("channels.test", "Send a message that is a test, and say what became of it.", try_out,
             {
                 "channel": _NAME,
                 "timeout": schema.number(f"Seconds to wait ({WAIT:g}).", least=0, most=300),
             },
             required=("channel",), waits=True, audience=Audience.OPERATOR, shared=True,
             because=_SENDS),
        Verb("channels.retry", "Send now what a channel has given up or waits to try.", retry,
             {"channel": _NAME}, required=("channel",), audience=Audience.OPERATOR, shared=True,
             because=_SENDS),
    ),
)  # fmt: skip
