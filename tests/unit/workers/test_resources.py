"""Resources: what is listed, read, and told to whom; and hints that never disturb a call."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Collection, Iterable
from types import SimpleNamespace
from typing import Any

import mcp.types as types
import pytest
from khive_workers.common.hints import HintReceiver
from khive_workers.common.verb_thread import VerbThread
from khive_workers.mcp.resources import SOURCES, Resources
from khive_workers.session import worker as session
from mcp.shared.exceptions import MCPError
from support import DEADLINE

from khive_supervisor.errors import NotFound, StoreUnavailable
from khive_supervisor.verbs.registry import Pack, Registry, Verb

LEGACY, MODERN = "2025-11-25", "2026-07-28"
PROFILE = "khive://profiles/a%2Fb"


class FakeSession:
    """The SDK's, as far as it is used."""

    def __init__(self, version: str = LEGACY) -> None:
        self.protocol_version = version
        self.told: list[str] = []

    async def send_resource_list_changed(self) -> None:
        self.told.append("list")

    async def send_resource_updated(self, uri: str) -> None:
        self.told.append(uri)


def registry_of(*names: str) -> Registry:
    profile = {"profile": {"type": "string"}}
    verbs = tuple(
        Verb(
            name,
            "Reads.",
            lambda context, args: dict(args),
            read_only=True,
            **({"properties": profile, "required": ("profile",)} if name[-1] == "e" else {}),
        )
        for name in names
    )
    return Registry([Pack("test", "For tests.", verbs)])


ALL = ("system.status", "brain.profiles", "brain.profile")


def resources_of(names: Iterable[str] = ALL, fails: Exception | None = None) -> Resources:
    async def run(name: str, args: dict[str, Any], ctx: Any) -> dict[str, Any]:
        if fails is not None:
            raise fails
        return {"verb": name, "args": args}

    return Resources(registry_of(*names), run)


def context(version: str = LEGACY) -> Any:
    return SimpleNamespace(session=FakeSession(version))


def read(resources: Resources, uri: str) -> Any:
    params = types.ReadResourceRequestParams(uri=uri)
    result = asyncio.run(resources.on_read(context(), params))
    [content] = result.contents
    assert content.uri == uri
    assert isinstance(content, types.TextResourceContents)
    return json.loads(content.text)


def test_only_what_has_a_verb_is_listed() -> None:
    def listed(*names: str) -> list[str]:
        resources, ctx = resources_of(names), context()
        plain = asyncio.run(resources.on_list(ctx, None)).resources
        templates = asyncio.run(resources.on_list_templates(ctx, None)).resource_templates
        return [one.uri for one in plain] + [one.uri_template for one in templates]

    assert listed("system.status") == ["khive://status"]
    sources = [source for source in SOURCES if source.verb in ALL]
    assert listed(*ALL) == [source.uri for source in sources]
    others = {"memory.brief", "memory.get", "system.catalog"}
    assert {source.verb for source in SOURCES} - set(ALL) == others


@pytest.mark.parametrize(
    ("uri", "verb", "args"),
    [
        ("khive://status", "system.status", {}),
        ("khive://profiles", "brain.profiles", {}),
        (PROFILE, "brain.profile", {"profile": "a/b"}),
    ],
)
def test_a_resource_is_read_by_its_verb(uri: str, verb: str, args: dict[str, str]) -> None:
    assert read(resources_of(), uri) == {"verb": verb, "args": args}


@pytest.mark.parametrize("uri", ["khive://no", "khive://profiles/", "khive://statuses", "", "x:y"])
def test_an_unknown_resource_is_refused_with_what_there_is(uri: str) -> None:
    with pytest.raises(MCPError, match="khive://status"):
        read(resources_of(["system.status"]), uri)
    params = types.SubscribeRequestParams(uri=uri)
    with pytest.raises(MCPError, match="khive://status"):
        asyncio.run(resources_of().on_subscribe(context(), params))


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NotFound("There is no profile 'a/b'."), types.INVALID_PARAMS),
        (StoreUnavailable("The store is busy."), types.INTERNAL_ERROR),
    ],
)
def test_what_the_verb_says_reaches_the_client(error: Exception, code: int) -> None:
    with pytest.raises(MCPError, match=str(error)[:15]) as caught:
        read(resources_of(fails=error), PROFILE)
    assert caught.value.error.code == code


@pytest.mark.parametrize(
    ("kinds", "told"),
    [
        (["profiles"], ["list", "khive://profiles", PROFILE]),
        (["posteriors"], ["khive://profiles", PROFILE]),
        (["bindings"], ["khive://profiles", PROFILE]),
        (["generations"], ["khive://status"]),
        (["somethings"], []),
    ],
)
def test_a_client_is_told_of_what_it_subscribed_to(kinds: list[str], told: list[str]) -> None:
    resources, ctx = resources_of(), context()

    async def main() -> None:
        for uri in (PROFILE, "khive://profiles", "khive://status", "khive://profiles/gone"):
            await resources.on_subscribe(ctx, types.SubscribeRequestParams(uri=uri))
        gone = types.UnsubscribeRequestParams(uri="khive://profiles/gone")
        await resources.on_unsubscribe(ctx, gone)
        await resources.changed(kinds)

    asyncio.run(main())
    assert ctx.session.told == told


def test_who_asked_for_nothing_is_told_nothing() -> None:
    resources = resources_of()
    asyncio.run(resources.changed(["profiles"]))
    ctx = context()
    asyncio.run(resources.on_list(ctx, None))
    asyncio.run(resources.changed(["posteriors"]))
    assert ctx.session.told == []
    asyncio.run(resources.changed(["profiles"]))
    assert ctx.session.told == ["list"]
    modern = context(MODERN)
    fresh = resources_of()
    asyncio.run(fresh.on_list(modern, None))
    asyncio.run(fresh.changed(["profiles"]))
    assert modern.session.told == []


def test_the_rehearsal_leaves_no_client_behind() -> None:
    session.warm()
    _, server = session.prepared()
    assert not server.resources._clients
    assert asyncio.run(server.resources.changed(["profiles"])) is None


# --- hints ----------------------------------------------------------------------------------------


class FakeContext:
    """A context that notes when it is refreshed, and in which thread."""

    def __init__(self, opened: bool = True) -> None:
        self.opened = opened
        self.refreshed: list[tuple[str, set[str]]] = []
        self.fails: Exception | None = None

    def refresh(self, kinds: Collection[str]) -> None:
        self.refreshed.append((threading.current_thread().name, set(kinds)))
        if self.fails is not None:
            raise self.fails


class Told:
    """What the client was told, and a way to wait for it."""

    def __init__(self) -> None:
        self.kinds: list[set[str]] = []
        self._more = asyncio.Event()

    async def tell(self, kinds: Collection[str]) -> None:
        self.kinds.append(set(kinds))
        self._more.set()

    async def wait(self, count: int) -> None:
        while len(self.kinds) < count:
            self._more.clear()
            await asyncio.wait_for(self._more.wait(), DEADLINE)


def test_hints_during_a_call_are_one_refresh_after_it() -> None:
    async def main() -> None:
        fake, thread, told = FakeContext(), VerbThread(), Told()
        hints = HintReceiver(fake, thread, told.tell)  # type: ignore[arg-type]  # a fake
        going, leave = threading.Event(), threading.Event()

        def call() -> dict[str, Any]:
            going.set()
            assert leave.wait(DEADLINE)
            assert fake.refreshed == []
            return {}

        calling = asyncio.create_task(thread.run(call))
        await asyncio.to_thread(going.wait, DEADLINE)
        for kind in ("profiles", "posteriors", "posteriors", "bindings"):
            hints.changed([kind])
            await asyncio.sleep(0)
        assert (fake.refreshed, told.kinds) == ([], [])
        leave.set()
        await calling
        await told.wait(2)
        # Nothing is unfinished any more, so what is short need not go to the thread; a new
        # generation may take longer.
        hints.changed(["generations"])
        await told.wait(3)
        assert fake.refreshed == [
            ("verbs", {"profiles"}),
            (threading.current_thread().name, {"posteriors", "bindings"}),
            ("verbs", {"generations"}),
        ]
        assert told.kinds == [{"profiles"}, {"posteriors", "bindings"}, {"generations"}]

    asyncio.run(main())


def test_a_session_that_opened_nothing_starts_no_thread() -> None:
    async def main() -> None:
        fake, thread, told = FakeContext(opened=False), VerbThread(), Told()
        HintReceiver(fake, thread, told.tell).changed(["profiles"])  # type: ignore[arg-type]  # a fake
        await told.wait(1)
        assert fake.refreshed == []
        assert thread._thread is None

    asyncio.run(main())


def test_a_refresh_that_fails_keeps_nothing_from_the_client() -> None:
    async def main() -> None:
        fake, told = FakeContext(), Told()
        fake.fails = StoreUnavailable("busy")
        hints = HintReceiver(fake, VerbThread(), told.tell)  # type: ignore[arg-type]  # a fake
        hints.changed(["profiles"])
        await told.wait(1)
        hints.changed(["bindings"])
        await told.wait(2)
        assert told.kinds == [{"profiles"}, {"bindings"}]

    asyncio.run(main())


@pytest.mark.parametrize("garbled", [None, "profiles", {}, [], [1, None]])
def test_a_garbled_hint_is_nothing(garbled: object) -> None:
    async def main() -> None:
        hints = HintReceiver(None, None, None)  # type: ignore[arg-type]  # not used
        hints.changed(garbled)
        assert hints._working is None

    asyncio.run(main())
