"""Messages as the store keeps them, and as they are read again. Pure."""

from __future__ import annotations

import json

from khive_supervisor.channels.messages import Message
from khive_supervisor.errors import InvalidInput
from khive_supervisor.store.channels.deliveries import Delivery, NewDelivery
from khive_supervisor.text.plain_json import JsonObject


def new_delivery(message: Message, wait: float = 0.0, *, gather: bool = False) -> NewDelivery:
    """Return what the store keeps of a message that is due in so many seconds."""
    text = json.dumps(stored(message), ensure_ascii=False)
    return NewDelivery(message.key, message.kind, message.subject, text, message.at, wait, gather)


def stored(message: Message) -> JsonObject:
    """Return a message as plain data that `read_message` takes."""
    return {
        "at": message.at,
        "title": message.title,
        "lines": list(message.lines),
        "data": message.data,
    }


def read_message(delivery: Delivery) -> Message:
    """Return the message that the store has kept; raises InvalidInput for what is none."""
    try:
        data = json.loads(delivery.message)
        return Message(
            delivery.key,
            delivery.kind,
            delivery.subject,
            float(data["at"]),
            str(data["title"]),
            tuple(map(str, data["lines"])),
            dict(data["data"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidInput(
            f"The message {delivery.id} is not as it was written: {error}."
        ) from None
