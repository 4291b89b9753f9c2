"""The MCP server: calls of tools, which are verbs, in every spelling and through one door.

Built once in the zygote, before any fork; what a session needs hangs on `SessionRuntime`, which
each worker sets for itself. Arguments are validated by the registry (the SDK only advertises
schemas), and errors are answers that a model can read and act on.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from typing import Any

import mcp.types as types
from mcp.server.lowlevel.server import NotificationOptions, Server
from mcp.server.models import InitializationOptions

from khive_supervisor import __version__, logs
from khive_supervisor.access.grant import AGENT, Grant
from khive_supervisor.errors import Denied, InvalidInput, KhiveError, StoreUnavailable
from khive_supervisor.text import wellformed
from khive_supervisor.text.plain_json import JsonObject
from khive_supervisor.verbs import schema
from khive_supervisor.verbs.coercion import coerce
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Answer, Registry
from khive_workers.common.verb_thread import VerbThread, run_apart
from khive_workers.mcp.completion import Completions
from khive_workers.mcp.prompts import Prompts
from khive_workers.mcp.resources import Resources
from khive_workers.mcp.tools import CALL_TOOL, HELP_TOOL, INSTRUCTIONS, ToolList

log = logs.get("khive.mcp")

#: Characters of a client's name, and of its version, that are kept.
CLIENT_LIMIT = 100
#: How clients' names begin that give a model what is structured in place of the text, or both. They
#: get the lines alone; programs, and clients that nobody has looked at, get both.
READ_LINES = (
    "claude-code", "claude code", "codex", "copilot", "github-copilot", "visual studio code",
    "cursor", "gemini", "opencode",
)  # fmt: skip
#: Calls that may wait at once in a session; each has a thread and a connection to the store.
WAITING_LIMIT = 8
#: The same of all clients of one process: one over stdio, and many over HTTP.
WAITING_IN_ALL = 64

_OBJECT = schema.record()


@dataclass(slots=True)
class SessionRuntime:
    """What the handlers of one worker need; filled in after the fork."""

    context: Context | None = None
    thread: VerbThread | None = None
    #: Makes a context of its own for a call that waits.
    make_context: Callable[[], Context] | None = None
    #: How many such calls wait now, by who has made them.
    waiting: Counter[str] = field(default_factory=Counter)
    on_client: Callable[[JsonObject], None] | None = None
    #: Called with each call of a verb, before it runs.
    on_call: Callable[[], None] | None = None
    client_seen: bool = False
    calls: int = 0


def describe_verbs(registry: Registry, name: str | None, grant: Grant) -> Answer:
    """Return what `khive_help` answers whoever has a grant.

    Raises:
        NotFound: there is no such verb.
        Denied: it is not for who asks.
    """
    if name is None:
        return {
            "packs": [
                {
                    "pack": pack.name,
                    "summary": pack.summary,
                    "verbs": {
                        verb.name: verb.summary
                        for verb in pack.verbs
                        if verb.reached_by(grant) and not verb.hook
                    },
                }
                for pack in registry.packs
                if any(verb.reached_by(grant) and not verb.hook for verb in pack.verbs)
            ],
            "note": "khive_call runs any of them; khive_help with `verb` shows its arguments.",
        }
    verb = registry.reached(name, grant)
    return {
        "verb": verb.name,
        "summary": verb.summary,
        "description": verb.description,
        "arguments": verb.input_schema,
        "read_only": verb.read_only,
    }


class McpServer:
    """The server of one worker (or, before the fork, of all)."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.runtime = SessionRuntime()
        self.tools = ToolList(registry)
        self._telling: asyncio.Future[None] | None = None
        self.resources = Resources(registry, self._run, self._grant_of)
        self.prompts = Prompts(registry, self._run, self._grant_of)
        self.completions = Completions(self._run)
        self.server: Server[Any] = Server(
            "khive",
            version=__version__,
            title="khive memory",
            instructions=INSTRUCTIONS,
            on_list_tools=self._list_tools,
            on_call_tool=self._call_tool,
            on_list_resources=self.resources.on_list,
            on_list_resource_templates=self.resources.on_list_templates,
            on_read_resource=self.resources.on_read,
            on_subscribe_resource=self.resources.on_subscribe,
            on_unsubscribe_resource=self.resources.on_unsubscribe,
            on_subscriptions_listen=self.resources.on_listen,
            on_list_prompts=self.prompts.on_list,
            on_get_prompt=self.prompts.on_get,
            on_completion=self.completions.on_complete,
        )
        # Traces that nobody exports would still be made for each call.
        self.server.middleware.clear()

    def options(self) -> InitializationOptions:
        """Return what `Server.run` wants."""
        return self.server.create_initialization_options(
            NotificationOptions(resources_changed=True, tools_changed=True)
        )

    async def _list_tools(self, ctx: Any, _params: Any) -> types.ListToolsResult:
        self._note_client(ctx)
        self.resources.listed_tools(ctx)
        return types.ListToolsResult(tools=self.tools.of(self._grant_of(ctx)))

    def roles_are(self, configured: object) -> None:
        """Go by whether roles are configured, and tell clients whose tools are others by that."""
        if isinstance(configured, bool) and configured != self.tools.roles:
            self.tools.roles = configured
            self._telling = asyncio.ensure_future(self.resources.tools_changed())

    def _grant_of(self, _ctx: Any) -> Grant:
        """Return what the client of a request may do."""
        context = self.runtime.context
        return AGENT if context is None else context.grant

    async def _call_tool(self, ctx: Any, params: types.CallToolRequestParams) -> Any:
        self._note_client(ctx)
        arguments = params.arguments or {}
        try:
            as_text = self._as_text(params.name, arguments)
            answer = await self._dispatch(params.name, arguments, ctx)
            result, text = answer_of(answer, as_text)
        except KhiveError as error:
            return _failure(error)
        except Exception as error:  # noqa: BLE001 - the SDK would hide it from the model
            log.error("verb.crashed", verb=params.name, error=repr(error))
            text = f"{params.name} failed unexpectedly: {error!r}."
            return _failure(
                KhiveError(text, hint="This is a bug; `khive-supervisor logs` has more.")
            )
        # As it goes over the wire: the SDK checks it anyway, and would take a model apart first.
        wire = {
            "resultType": "complete",
            "content": [{"type": "text", "text": text}],
            "isError": False,
        }
        lines_alone = as_text is not None and reads_lines(client_of(ctx)[0])
        return wire if lines_alone else {**wire, "structuredContent": result}

    def _as_text(self, name: str, arguments: JsonObject) -> Callable[[Answer], str] | None:
        """Return how the text of a call's answer is made, if not as JSON."""
        verb = arguments.get("verb") if name == CALL_TOOL else name
        known = isinstance(verb, str) and verb != HELP_TOOL
        return self.registry.get(str(verb)).as_text if known else None

    async def _dispatch(self, name: str, arguments: JsonObject, ctx: Any) -> Answer:
        if name == HELP_TOOL:
            verb = arguments.get("verb")
            if arguments.keys() - {"verb"} or not isinstance(verb, str | None):
                raise InvalidInput(
                    "khive_help takes `verb` (a string) or nothing.",
                    hint='For example {"verb": "memory.recall"}.',
                )
            return describe_verbs(self.registry, verb, self._grant_of(ctx))
        if name == CALL_TOOL:
            verb, inner = arguments.get("verb"), coerce(_OBJECT, arguments.get("args") or {})
            foreign = arguments.keys() - {"verb", "args"}
            if foreign or not isinstance(verb, str) or not isinstance(inner, dict):
                raise InvalidInput(
                    "khive_call takes `verb` (a string) and `args` (an object), nothing else.",
                    hint='For example {"verb": "index.status", "args": {}}.',
                )
            if self.registry.get(verb).hook:
                raise Denied(
                    f"{verb} is for clients: what it takes counts as what a user has done.",
                    hint="memory.remember stores what you have learned yourself.",
                )
            return await self._run(verb, inner, ctx)
        return await self._run(name, arguments, ctx)

    async def _run(self, name: str, arguments: JsonObject, ctx: Any) -> Answer:
        """Run a verb; in the verb thread, so that the session notices its client all the while."""
        runtime = self.runtime
        context = runtime.context
        assert context is not None
        assert runtime.thread is not None
        verb = self.registry.get(name)
        runtime.calls += 1
        if runtime.on_call is not None:
            runtime.on_call()
        if verb.waits and runtime.make_context is not None:
            return await self._run_waiting(runtime.make_context, name, arguments, ctx)
        loop = asyncio.get_running_loop()
        cancelled = threading.Event()
        report = progress_of(ctx, loop, cancelled)

        def work() -> Answer:
            if cancelled.is_set():
                raise CancelledError
            context.progress = report  # here, since other calls may wait for the thread
            return self.registry.call(context, name, arguments)

        try:
            return await runtime.thread.run(work, quick=verb.quick)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async def _run_waiting(
        self, make: Callable[[], Context], name: str, arguments: JsonObject, ctx: Any,
        by: str = "",
    ) -> Answer:  # fmt: skip
        """Run a verb that waits in a thread and with a store of its own, so that others go on."""
        runtime = self.runtime
        if runtime.waiting.total() >= WAITING_IN_ALL:
            raise StoreUnavailable(
                f"{WAITING_IN_ALL} calls wait already, of all clients together.",
                hint="Try again in a moment.",
            )
        if runtime.waiting[by] >= WAITING_LIMIT:
            raise KhiveError(
                f"{WAITING_LIMIT} calls of this session wait already.",
                hint="Wait for several things in one call, or for one of them to end.",
            )
        cancelled = threading.Event()
        report = progress_of(ctx, asyncio.get_running_loop(), cancelled)

        def pause(seconds: float) -> None:
            if cancelled.wait(seconds):
                raise CancelledError

        def work() -> Answer:
            context = make()
            context.progress, context.pause = report, pause
            try:
                return self.registry.call(context, name, arguments)
            finally:
                context.close()

        runtime.waiting[by] += 1
        try:
            return await run_apart(work)
        finally:
            runtime.waiting[by] -= 1
            if not runtime.waiting[by]:
                del runtime.waiting[by]
            cancelled.set()

    def _note_client(self, ctx: Any) -> None:
        """Tell the supervisor once who the client is, and this session's memories always."""
        runtime = self.runtime
        if runtime.context is not None and not runtime.client_seen:
            runtime.context.client = client_of(ctx)
        if runtime.client_seen or runtime.on_client is None:
            return
        runtime.client_seen = True
        name, version = client_of(ctx)
        if name:
            runtime.on_client({"client": f"{name} {version}"})


def reads_lines(client: str) -> bool:
    """Return True if a client of that name is to get an answer's lines alone, where it has some."""
    return client.lower().startswith(READ_LINES)


def client_of(ctx: Any) -> tuple[str, str]:
    """Return name and version that the client of a request goes by; empty if it has not said."""
    info = getattr(getattr(ctx.session, "client_params", None), "client_info", None)
    if info is None:
        return "", ""
    name, version = (wellformed.text(str(one))[:CLIENT_LIMIT] for one in (info.name, info.version))
    return name, version


def answer_of(result: Answer, as_text: Callable[[Answer], str] | None = None) -> tuple[Answer, str]:
    """An answer as JSON and Unicode, and its text: whatever a verb found in the store can be sent.

    `as_text` says it for those who read the text alone; without, that is the JSON.

    Raises:
        TypeError, ValueError: it holds what JSON does not have, which is a bug of the verb.
    """
    text = json.dumps(result, ensure_ascii=False, allow_nan=False)
    if wellformed.is_text(text):
        return result, as_text(result) if as_text else text
    whole: JsonObject = wellformed.data(result)
    return whole, as_text(whole) if as_text else json.dumps(whole, ensure_ascii=False)


def progress_of(
    ctx: Any, loop: asyncio.AbstractEventLoop, cancelled: threading.Event
) -> Callable[[int, int, str], None]:
    """Return a verb's progress as MCP notifications, if the client asked for them.

    A call that was cancelled ends there: what it has stored by then stays.
    """

    def report(done: int, total: int, text: str) -> None:
        if cancelled.is_set():
            raise CancelledError
        asyncio.run_coroutine_threadsafe(
            ctx.session.report_progress(float(done), float(total), wellformed.text(text)), loop
        )

    return report


def _failure(error: KhiveError) -> types.CallToolResult:
    """Return an error that the model reads: what happened, why, what to do next.

    Text alone: some clients hold the structured content of an error, too, to the tool's output
    schema, and then show that complaint instead of the error.
    """
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=wellformed.text(str(error)))],
        is_error=True,
    )
