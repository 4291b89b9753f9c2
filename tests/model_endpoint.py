"""A model on loopback that calls one tool and then says what it got: two makers' protocols."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from support import DEADLINE

#: The tool that it calls, as each agent names it for its model.
TOOL, SERVER = "memory_recall", "mcp__khive"


class Endpoint(ThreadingHTTPServer):
    """Answers Anthropic's /v1/messages and OpenAI's /v1/responses, and keeps what was asked."""

    daemon_threads = True

    def __init__(self, arguments: dict[str, Any]) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.arguments = json.dumps(arguments)
        #: The calls of OpenAI's model, one after the other: tools and their arguments.
        self.steps: list[tuple[str, dict[str, Any]]] = [(TOOL, arguments)]
        #: Whether the model calls the tool, or only says something.
        self.calls = True
        #: A tool of the agent's own that is called instead of ours, once for each prompt.
        self.uses: tuple[str, dict[str, Any]] | None = None
        #: What a call's result must wait for before it is answered, and whether one waits.
        self.open, self.waits = threading.Event(), threading.Event()
        self.open.set()
        #: Bodies of the requests for answers, in order.
        self.asked: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def call(self) -> tuple[str, str] | None:
        """What Anthropic's model calls: a tool, and its arguments as JSON; None: nothing."""
        if self.uses is not None:
            return self.uses[0], json.dumps(self.uses[1])
        return (f"{SERVER}__{TOOL}", self.arguments) if self.calls else None

    def handle_error(self, *_: Any) -> None:
        """A client that goes away is none of ours."""


@contextmanager
def serving(**arguments: Any) -> Iterator[Endpoint]:
    """An endpoint whose model calls the tool with these arguments."""
    endpoint = Endpoint(arguments)
    thread = threading.Thread(target=endpoint.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield endpoint
    finally:
        endpoint.shutdown()
        endpoint.server_close()
        thread.join()


class _Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Endpoint

    def log_message(self, *_: Any) -> None:
        """Quiet."""

    def do_HEAD(self) -> None:
        self._answer(b"", "application/json")

    def do_GET(self) -> None:
        self._answer(b'{"data": []}', "application/json")

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"{}")
        path = self.path.partition("?")[0]
        if path.endswith("/messages"):
            events = _messages(body, self.server.call)
        elif path.endswith("/responses"):
            own = [self.server.uses] if self.server.uses else []
            events = _responses(body, own or (self.server.steps if self.server.calls else []))
        else:
            self._answer(b'{"input_tokens": 1}', "application/json")
            return
        self.server.asked.append(body)
        if not self.server.open.is_set() and "tool_result" in str(body.get("messages")):
            self.server.waits.set()
            self.server.open.wait(DEADLINE)
        lines = [f"event: {one['type']}\ndata: {json.dumps(one)}\n\n" for one in events]
        self._answer("".join(lines).encode(), "text/event-stream")

    def _answer(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _messages(body: dict[str, Any], call: tuple[str, str] | None) -> Iterator[dict[str, Any]]:
    last = next((m["content"] for m in reversed(body["messages"]) if m["role"] == "user"), "")
    results = [b for b in last if b.get("type") == "tool_result"] if isinstance(last, list) else []
    known = {tool.get("name") for tool in body.get("tools", [])}
    calls = call is not None and call[0] in known and not results
    usage = {"input_tokens": 100, "output_tokens": 1}
    message = {
        "id": "m", "type": "message", "role": "assistant", "model": body["model"], "content": [],
        "stop_reason": None, "stop_sequence": None, "usage": usage,
    }  # fmt: skip
    yield {"type": "message_start", "message": message}
    if call is not None and calls:
        block = {"type": "tool_use", "id": "toolu_1", "name": call[0], "input": {}}
        delta = {"type": "input_json_delta", "partial_json": call[1]}
    else:
        block = {"type": "text", "text": ""}
        delta = {"type": "text_delta", "text": f"Found: {json.dumps(results)}"}
    yield {"type": "content_block_start", "index": 0, "content_block": block}
    yield {"type": "content_block_delta", "index": 0, "delta": delta}
    yield {"type": "content_block_stop", "index": 0}
    ending = {"stop_reason": "tool_use" if calls else "end_turn", "stop_sequence": None}
    yield {"type": "message_delta", "delta": ending, "usage": {"output_tokens": 20}}
    yield {"type": "message_stop"}


def _responses(
    body: dict[str, Any], steps: list[tuple[str, dict[str, Any]]]
) -> Iterator[dict[str, Any]]:
    items = body.get("input", [])
    asked = max((n for n, item in enumerate(items) if item.get("role") == "user"), default=-1)
    results = [i for i in items[asked + 1 :] if i.get("type") == "function_call_output"]
    known = {tool.get("name") for tool in body.get("tools", [])}
    yield {"type": "response.created", "response": {"id": "r"}}
    item: dict[str, Any]
    done = len(results)
    if done < len(steps) and not known.isdisjoint((SERVER, steps[done][0])):
        name, arguments = steps[done]
        item = {
            "type": "function_call", "id": f"f{done}", "call_id": f"c{done}",
            "name": name, "arguments": json.dumps(arguments),
            **({} if name in known else {"namespace": SERVER}),
        }  # fmt: skip
    else:
        content = [{"type": "output_text", "text": f"Found: {json.dumps(results)}"}]
        item = {"type": "message", "id": "m", "role": "assistant", "content": content}
    yield {"type": "response.output_item.done", "item": item}
    usage = {
        "input_tokens": 100, "input_tokens_details": {"cached_tokens": 40}, "output_tokens": 20,
        "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 120,
    }  # fmt: skip
    yield {"type": "response.completed", "response": {"id": "r", "usage": usage}}
