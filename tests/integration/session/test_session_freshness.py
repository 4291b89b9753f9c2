"""An idle session hears of what other processes change: without a call, and without a poll."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mcp
import mcp.types as types
import pytest
from mcp.client.stdio import stdio_client
from mcp.client.subscriptions import ResourcesListChanged, ResourceUpdated
from support import DEADLINE, Installation, RawSession, installed, run, wait_until

from khive_supervisor.sqlite.store import SqliteStore

#: Without a poll, so that what is heard was seen by an event; without an embedder, to start soon.
WITHOUT_POLL = """
[supervisor]
poll_interval = "1h"

[embedder]
kind = "none"
"""
PROFILES = "khive://profiles"


@pytest.fixture(scope="module")
def khive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installed(tmp_path_factory.mktemp("f") / "h") as installation:
        installation.configure(WITHOUT_POLL)
        installation.start()
        wait_until(
            lambda: installation.status()["freshness"]["path"] == "inotify", "the store is watched"
        )
        yield installation


def change(khive: Installation, statement: str) -> None:
    """What any other process may do: this one is neither a worker nor the supervisor."""
    with SqliteStore(str(khive.store)) as store, store.transaction():
        store.database.rows(statement)


LEARN = "UPDATE posteriors SET alpha = alpha + 1"
RENAME = "UPDATE profiles SET description = description || '.'"


def registered(khive: Installation, count: int) -> None:
    wait_until(lambda: len(khive.status()["sessions"]) == count, f"{count} sessions are registered")


# The client of today still speaks the era before it, and says that it is over.
@pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")
def test_a_client_of_the_handshake_era_hears_it_on_its_connection(khive: Installation) -> None:
    heard: asyncio.Queue[Any] = asyncio.Queue()

    async def main() -> None:
        transport = stdio_client(khive.parameters())
        async with mcp.Client(transport, mode="legacy", message_handler=heard.put) as client:
            capability = client.server_capabilities.resources
            assert capability is not None
            assert (capability.subscribe, capability.list_changed) == (True, True)
            await client.subscribe_resource(PROFILES)
            await asyncio.to_thread(registered, khive, 1)
            change(khive, LEARN)
            message = await asyncio.wait_for(heard.get(), DEADLINE)
            assert isinstance(message, types.ResourceUpdatedNotification)
            assert str(message.params.uri) == PROFILES
            change(khive, RENAME)
            message = await asyncio.wait_for(heard.get(), DEADLINE)
            assert isinstance(message, types.ResourceListChangedNotification)
            message = await asyncio.wait_for(heard.get(), DEADLINE)
            assert isinstance(message, types.ResourceUpdatedNotification)
            await client.unsubscribe_resource(PROFILES)
            assert heard.empty()

    run(main())
    registered(khive, 0)


def test_a_client_of_today_hears_it_on_the_stream_that_it_opened(khive: Installation) -> None:
    async def main() -> None:
        async with khive.session("auto") as client:
            capability = client.server_capabilities.resources
            assert capability is not None
            assert (capability.subscribe, capability.list_changed) == (True, True)
            async with client.listen(
                resources_list_changed=True, resource_subscriptions=[PROFILES]
            ) as stream:
                await asyncio.to_thread(registered, khive, 1)
                change(khive, LEARN)
                event = await asyncio.wait_for(anext(stream), DEADLINE)
                assert event == ResourceUpdated(PROFILES)
                change(khive, RENAME)
                events = [await asyncio.wait_for(anext(stream), DEADLINE) for _ in range(2)]
                assert events == [ResourcesListChanged(), ResourceUpdated(PROFILES)]

    run(main())
    registered(khive, 0)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_the_status_is_a_resource(khive: Installation, mode: str) -> None:
    async def main() -> None:
        async with khive.session(mode) as client:
            listed = [resource.uri for resource in (await client.list_resources()).resources]
            assert "khive://status" in listed
            [content] = (await client.read_resource("khive://status")).contents
            assert isinstance(content, types.TextResourceContents)
            assert '"supervisor"' in content.text
            with pytest.raises(mcp.MCPError, match="khive://status"):
                await client.read_resource("khive://nothing")

    run(main())
    registered(khive, 0)


def inotify_instances(pid: int) -> int:
    links = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            links.append(os.readlink(entry))
        except OSError:
            continue  # closed meanwhile
    return sum("inotify" in link for link in links)


def test_twenty_sessions_share_one_watch_and_all_hear_it(khive: Installation) -> None:
    sessions = [RawSession(khive) for _ in range(20)]
    try:
        for session in sessions:
            session.initialize()
            session.request("resources/subscribe", {"uri": PROFILES})
        registered(khive, 20)
        watches = {pid: inotify_instances(pid) for pid in khive.processes()}
        assert watches.pop(khive.status()["pid"]) == 1
        assert not any(watches.values())
        zygote = khive.child("zygote")["pid"]
        assert len(os.listdir(f"/proc/{zygote}/task")) == 1
        before = khive.status()["freshness"]["pushes"]
        change(khive, LEARN)
        for session in sessions:
            message = session.read()
            assert message["method"] == "notifications/resources/updated"
            assert message["params"]["uri"] == PROFILES
        assert khive.status()["freshness"]["pushes"] == before + 1
        assert [session.close() for session in sessions] == [0] * 20
    finally:
        for session in sessions:
            session.__exit__()
    registered(khive, 0)


def test_the_poll_is_enough(tmp_path: Path) -> None:
    """A store whose directory is replaced and back, as a mount that comes late would be."""
    with installed(tmp_path / "h") as khive:
        khive.configure(WITHOUT_POLL.replace("1h", "100ms"))
        khive.start()
        wait_until(lambda: khive.status()["freshness"]["path"] == "inotify", "it is watched")
        away = khive.store.parent.with_name("away")
        with RawSession(khive) as session:
            session.initialize()
            session.request("resources/subscribe", {"uri": PROFILES})
            registered(khive, 1)
            khive.store.parent.rename(away)
            wait_until(lambda: khive.status()["freshness"]["path"] == "poll", "it is missed")
            # Nothing is read from a file that is not where it belongs; it is told when it is back.
            with SqliteStore(str(away / khive.store.name)) as store, store.transaction():
                store.database.rows(LEARN)
            away.rename(khive.store.parent)
            assert session.read()["method"] == "notifications/resources/updated"
            wait_until(lambda: khive.status()["freshness"]["path"] == "inotify", "it is back")
            change(khive, LEARN)
            assert session.read()["method"] == "notifications/resources/updated"
            assert session.close() == 0
        assert khive.status()["freshness"]["last_rebuild_reason"] == "the directory is gone"
