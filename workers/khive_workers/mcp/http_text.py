"""Bodies of MCP over HTTP, made text on their way in, and lines for every reader on their way out.

The SDK reads and writes them itself; what it would refuse, or fail to write, is mended around it.
"""

from __future__ import annotations

from starlette.types import Message, Receive, Send

from khive_supervisor.text import wellformed
from khive_workers.mcp.received import received


def readable(receive: Receive) -> Receive:
    """Return the same request, whose body is JSON that is text."""
    parts: list[bytes] = []
    done = False

    async def whole() -> Message:
        nonlocal done
        while not done:
            message = await receive()
            if message["type"] != "http.request":
                return message
            parts.append(message.get("body", b""))
            done = not message.get("more_body", False)
            if done:
                return {**message, "body": received(b"".join(parts))}
        return await receive()

    return whole


def sayable(send: Send) -> Send:
    """Return the same answer, in which nothing passes for the end of a line but what is one."""
    held: list[Message] = []

    async def escaped(message: Message) -> None:
        if message["type"] == "http.response.start" and _counted(message):
            held.append(message)  # its length may become another one
            return
        if message["type"] == "http.response.body":
            message = {**message, "body": wellformed.json_line(message.get("body", b""))}
        if held:
            start = held.pop()
            more = message.get("more_body", False)
            await send(start if more else _of_length(start, len(message.get("body", b""))))
        await send(message)

    return escaped


def _counted(start: Message) -> bool:
    return any(name.lower() == b"content-length" for name, _ in start.get("headers", ()))


def _of_length(start: Message, length: int) -> Message:
    headers = [
        (name, str(length).encode() if name.lower() == b"content-length" else value)
        for name, value in start["headers"]
    ]
    return {**start, "headers": headers}
