"""MCP resources: what a client may read and be told of, in both eras of the protocol.

A resource is a verb that reads. Which of them exist is looked up in the registry when asked, so a
resource whose pack is not there is not listed. Clients of the handshake era subscribe to a URI and
are told on the connection; since 2026-07-28 they open a stream that says what they want. Whoever
asked for nothing is told nothing.
"""

from __future__ import annotations

import functools
import json
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import anyio
import mcp.types as types
from mcp.server.subscriptions import (
    InMemorySubscriptionBus,
    ListenHandler,
    ResourcesListChanged,
    ResourceUpdated,
    ToolsListChanged,
)
from mcp.shared.exceptions import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from khive_supervisor import logs
from khive_supervisor.access.grant import AGENT, Grant
from khive_supervisor.errors import InvalidInput, KhiveError, NotFound
from khive_supervisor.freshness import BINDINGS, GENERATIONS, POSTERIORS, PROFILES
from khive_supervisor.text import wellformed
from khive_supervisor.text.plain_json import JsonObject
from khive_supervisor.verbs.registry import Answer, Registry

log = logs.get("khive.resources")

#: Runs a verb for a client: name, arguments, the SDK's context of the request.
Run = Callable[[str, JsonObject, Any], Awaitable[Answer]]

#: Tells a client something.
Tell = Callable[[], Awaitable[None]]

#: The lists that a client can look at.
RESOURCES, TOOLS = "resources", "tools"

#: Kinds after whose change the list of resources is another one.
LISTED = frozenset({PROFILES})

#: Clients of one process that are remembered: one, and over HTTP many.
CLIENTS = 1024


@dataclass(frozen=True, slots=True)
class ResourceSpec:
    """A resource, or with a part in braces at its end a template of many.

    `verb` is what reads it, and has that part as its first argument; after changes of these `kinds`
    it may read otherwise. `text`: it is read as people read it, and not as JSON.
    """

    uri: str
    name: str
    description: str
    verb: str
    kinds: frozenset[str]
    text: bool = False

    @property
    def is_template(self) -> bool:
        """Return True if the URI has a part to fill in."""
        return self.uri.endswith("}")

    @property
    def mime_type(self) -> str:
        """Return what a client is told of its contents."""
        return "text/markdown" if self.text else "application/json"

    def part_of(self, uri: str) -> str | None:
        """Return what a URI has for the braces, empty without any; None: it is of another one."""
        if not self.is_template:
            return "" if uri == self.uri else None
        stem = self.uri.partition("{")[0]
        part = unquote(uri.removeprefix(stem)) if uri.startswith(stem) else ""
        return wellformed.text(part) or None


SOURCES = (
    ResourceSpec(
        "khive://brief",
        "brief",
        "What is known of this project, in a few lines.",
        "memory.brief",
        frozenset(),
        text=True,
    ),
    ResourceSpec(
        "khive://memory/{id}",
        "memory",
        "One memory or document by its id, such as m12: all of it.",
        "memory.get",
        frozenset(),
        text=True,
    ),
    ResourceSpec(
        "khive://status",
        "status",
        "The memory, its index and the supervisor.",
        "system.status",
        frozenset({GENERATIONS}),
    ),
    ResourceSpec(
        "khive://catalog",
        "catalog",
        "All that is declared: verbs, settings, commands, routes, metrics, events.",
        "system.catalog",
        frozenset(),
    ),
    ResourceSpec(
        "khive://catalog/{part}",
        "catalog part",
        "One part of the catalogue with all its schemas, such as verbs.",
        "system.catalog",
        frozenset(),
    ),
    ResourceSpec(
        "khive://profiles",
        "profiles",
        "The profiles that feedback has taught how to rank.",
        "brain.profiles",
        frozenset({PROFILES, POSTERIORS, BINDINGS}),
    ),
    ResourceSpec(
        "khive://profiles/{name}",
        "profile",
        "One profile: its weights and what they were learned from.",
        "brain.profile",
        frozenset({PROFILES, POSTERIORS, BINDINGS}),
    ),
)


@dataclass(slots=True)
class Subscriber:
    """A client of the handshake era: how it is told, and what it wants to hear of."""

    session: Any
    #: Whether others' doings are not for it to hear of.
    confined: bool = False
    subscribed: set[str] = field(default_factory=set)
    #: Which lists it has looked at: it is told when they are others.
    lists: set[str] = field(default_factory=set)


class Resources:
    """The resources of one worker (or, before the fork, of all), and who wants to hear of them."""

    def __init__(
        self, registry: Registry, run: Run, grant_of: Callable[[Any], Grant] = lambda _ctx: AGENT
    ) -> None:
        self._registry = registry
        self._run = run
        self._grant_of = grant_of
        self._bus = InMemorySubscriptionBus()
        self._listen = ListenHandler(self._bus)
        self._listening: Counter[str] = Counter()
        self._streams = 0
        self._clients: OrderedDict[str, Subscriber] = OrderedDict()

    # --- reading --------------------------------------------------------------------------------

    def _sources(self, ctx: Any) -> Iterator[ResourceSpec]:
        """Return those whose verb exists for the client of a request."""
        verbs = {verb.name for verb in self._registry.within(self._grant_of(ctx))}
        return (source for source in SOURCES if source.verb in verbs)

    async def on_list(self, ctx: Any, _params: Any) -> types.ListResourcesResult:
        """Answer resources/list."""
        self._remember(ctx, RESOURCES)
        found = [
            types.Resource(
                uri=source.uri,
                name=source.name,
                description=source.description,
                mime_type=source.mime_type,
            )
            for source in self._sources(ctx)
            if not source.is_template
        ]
        return types.ListResourcesResult(resources=found)

    async def on_list_templates(self, ctx: Any, _params: Any) -> types.ListResourceTemplatesResult:
        """Answer resources/templates/list."""
        self._remember(ctx, RESOURCES)
        found = [
            types.ResourceTemplate(
                uri_template=source.uri,
                name=source.name,
                description=source.description,
                mime_type=source.mime_type,
            )
            for source in self._sources(ctx)
            if source.is_template
        ]
        return types.ListResourceTemplatesResult(resource_templates=found)

    async def on_read(
        self, ctx: Any, params: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult:
        """Answer resources/read by the verb behind the URI."""
        source, part = self._find(ctx, params.uri)
        verb = self._registry.get(source.verb)
        names = verb.input_schema["required"] or list(verb.input_schema["properties"])
        try:
            result = await self._run(verb.name, {names[0]: part} if part else {}, ctx)
        except (NotFound, InvalidInput) as error:
            raise MCPError(types.INVALID_PARAMS, wellformed.text(str(error))) from error
        except KhiveError as error:
            raise MCPError(types.INTERNAL_ERROR, wellformed.text(str(error))) from error
        whole = wellformed.data(result)
        as_text = verb.as_text if source.text else None
        text = as_text(whole) if as_text else json.dumps(whole, ensure_ascii=False)
        content = types.TextResourceContents(uri=params.uri, mime_type=source.mime_type, text=text)
        return types.ReadResourceResult(contents=[content])

    def _find(self, ctx: Any, uri: str) -> tuple[ResourceSpec, str]:
        for source in self._sources(ctx):
            part = source.part_of(uri)
            if part is not None:
                return source, part
        raise _no_resource(uri, self._sources(ctx))

    # --- who wants to hear ----------------------------------------------------------------------

    async def on_subscribe(
        self, ctx: Any, params: types.SubscribeRequestParams
    ) -> types.EmptyResult:
        """Answer resources/subscribe, of the handshake era."""
        self._find(ctx, params.uri)
        client = self._remember(ctx, RESOURCES)
        if client is not None:
            client.subscribed.add(params.uri)
        return types.EmptyResult()

    async def on_unsubscribe(
        self, ctx: Any, params: types.UnsubscribeRequestParams
    ) -> types.EmptyResult:
        """Answer resources/unsubscribe, of the handshake era."""
        client = self._remember(ctx)
        if client is not None:
            client.subscribed.discard(params.uri)
        return types.EmptyResult()

    async def on_listen(
        self, ctx: Any, params: types.SubscriptionsListenRequestParams
    ) -> types.SubscriptionsListenResult:
        """Serve one stream of subscriptions/listen until the client ends it."""
        if self._grant_of(ctx).confined:
            nothing = types.SubscriptionFilter()  # what changes may be of others
            params = params.model_copy(update={"notifications": nothing})
        wanted = set(params.notifications.resource_subscriptions or ())
        self._listening.update(wanted)
        self._streams += 1
        try:
            return await self._listen(ctx, params)
        finally:
            self._listening.subtract(wanted)
            self._streams -= 1

    def listed_tools(self, ctx: Any) -> None:
        """Note that a client has looked at the list of tools."""
        self._remember(ctx, TOOLS)

    def forget(self) -> None:
        """Forget every client: those of the rehearsal are not the next session's."""
        self._clients.clear()

    def _remember(self, ctx: Any, listed: str = "") -> Subscriber | None:
        """A client of the handshake era that looked at a list once is told when it changes."""
        if ctx.session.protocol_version in MODERN_PROTOCOL_VERSIONS:
            return None
        request = getattr(ctx, "request", None)
        key = request.headers.get("mcp-session-id", "") if request is not None else ""
        confined = self._grant_of(ctx).confined
        client = self._clients.setdefault(key, Subscriber(ctx.session, confined))
        client.session = ctx.session
        client.lists |= {listed} if listed else set()
        self._clients.move_to_end(key)
        if len(self._clients) > CLIENTS:
            self._clients.popitem(last=False)
        return client

    # --- telling --------------------------------------------------------------------------------

    async def changed(self, kinds: Collection[str]) -> None:
        """Tell whoever asked for it that things of these kinds have changed."""
        listed = not LISTED.isdisjoint(kinds)
        if self._streams:
            if listed:
                await self._bus.publish(ResourcesListChanged())
            for uri in _affected(+self._listening, kinds):
                await self._bus.publish(ResourceUpdated(uri))
        for key, client in list(self._clients.items()):
            if client.confined:  # what has changed may be of others
                continue
            await self._notify(key, client, _news(client, kinds, listed=listed))

    async def tools_changed(self) -> None:
        """Tell whoever has looked at the list of tools that it is another one."""
        if self._streams:
            await self._bus.publish(ToolsListChanged())
        for key, client in list(self._clients.items()):
            if TOOLS in client.lists:
                await self._notify(key, client, [client.session.send_tool_list_changed])

    async def _notify(self, key: str, client: Subscriber, news: Iterable[Tell]) -> None:
        try:
            for tell in news:
                await tell()
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            log.debug("resources.client_left")
            if self._clients.get(key) is client:
                del self._clients[key]


def _news(client: Subscriber, kinds: Collection[str], *, listed: bool) -> Iterator[Tell]:
    """Return what a client is to be told after changes of these kinds."""
    if listed and RESOURCES in client.lists:
        yield client.session.send_resource_list_changed
    for uri in _affected(client.subscribed, kinds):
        yield functools.partial(client.session.send_resource_updated, uri)


def _no_resource(uri: str, sources: Iterable[ResourceSpec]) -> MCPError:
    known = ", ".join(source.uri for source in sources)
    return MCPError(
        types.INVALID_PARAMS, f"There is no resource {uri}. There are: {known}.", {"uri": uri}
    )


def _affected(uris: Collection[str], kinds: Collection[str]) -> list[str]:
    """Return the URIs that may read otherwise after changes of these kinds."""
    sources = [source for source in SOURCES if not source.kinds.isdisjoint(kinds)]
    return [uri for uri in sorted(uris) if any(s.part_of(uri) is not None for s in sources)]
