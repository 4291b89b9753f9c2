"""The watcher on a loop with a fake watch: hints, the poll, pushes, and what goes wrong."""

from __future__ import annotations

import asyncio
import errno
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Collection, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support import DEADLINE, ROOT

from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.model import NewEntry
from khive_supervisor.supervision.control.sessions import SessionTable
from khive_supervisor.supervision.watch.health import DIED, GONE, INOTIFY, POLL
from khive_supervisor.supervision.watch.watcher import DirectoryWatch, HintRelay, Watcher

#: Seconds: so far apart that a test which passes cannot have waited for a poll.
NEVER, SOON = 3600.0, 0.05


class FakeSessions(SessionTable):
    """Notes what is told; as many workers as wanted."""

    def __init__(self, count: int = 3) -> None:
        super().__init__()
        self.count = count
        self.told: list[list[str]] = []
        self.heard = asyncio.Event()

    def tell_all(self, message: dict[str, Any], *, kinds: Collection[str] = ()) -> int:
        assert message["hint"] == "changed"
        assert set(kinds) == {"session", "http"}
        self.told.append(message["kinds"])
        self.heard.set()
        return self.count


class FakeWatch(DirectoryWatch):
    """One without threads."""

    def __init__(self, handler: HintRelay) -> None:
        self.handler = handler
        self.living, self.ended = True, False

    @property
    def alive(self) -> bool:
        return self.living

    def end(self) -> None:
        self.ended = True


@dataclass
class Bench:
    """A store, a watcher of it, and the watches that were made."""

    path: str
    store: SqliteStore
    sessions: FakeSessions
    made: list[FakeWatch] = field(default_factory=list)
    failures: list[OSError] = field(default_factory=list)

    def observe(self, handler: HintRelay, directory: str) -> DirectoryWatch:
        assert directory == os.path.dirname(self.path)
        if self.failures:
            raise self.failures.pop(0)
        self.made.append(FakeWatch(handler))
        return self.made[-1]

    def event(self, path: str | None = None) -> None:
        """What a watch calls, in another thread."""
        event = SimpleNamespace(src_path=path or self.path + "-wal", dest_path="")
        thread = threading.Thread(target=self.made[-1].handler.dispatch, args=(event,))
        thread.start()
        thread.join()

    def learn(self) -> None:
        with self.store.transaction():
            self.store.database.rows("UPDATE posteriors SET alpha = alpha + 1")

    @asynccontextmanager
    async def watching(self, interval: float = NEVER) -> AsyncIterator[Watcher]:
        watcher = Watcher(self.path, self.sessions, poll_interval=interval, observe=self.observe)
        task = asyncio.create_task(watcher.run())
        try:
            yield watcher
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await watcher.stop()


@pytest.fixture
def in_bench(tmp_path: Path) -> Callable[[Callable[[Bench], Coroutine[Any, Any, None]]], None]:
    def run(main: Callable[[Bench], Coroutine[Any, Any, None]]) -> None:
        async def bounded() -> None:
            path = str(tmp_path / "data" / "khive.db")
            with SqliteStore(path) as store:
                await asyncio.wait_for(main(Bench(path, store, FakeSessions())), DEADLINE)

        asyncio.run(bounded())

    return run


Runner = Callable[[Callable[[Bench], Coroutine[Any, Any, None]]], None]


async def until(condition: Callable[[], Any]) -> None:
    while not condition():  # noqa: ASYNC110 - there is no event for most; the deadline bounds it
        await asyncio.sleep(0.002)


async def watched(watcher: Watcher) -> None:
    await until(lambda: watcher.describe()["path"] == INOTIFY)


def test_a_hint_is_confirmed_and_told_with_what_has_changed(in_bench: Runner) -> None:
    async def main(bench: Bench) -> None:
        async with bench.watching() as watcher:
            await watched(watcher)
            bench.learn()
            bench.event()
            await bench.sessions.heard.wait()
            assert bench.sessions.told == [["posteriors"]]
            assert watcher.describe() == {
                "path": INOTIFY, "reason": "", "rebuilds": 0, "missed": 0, "hints": 1,
                "last_rebuild_reason": "", "pushes": 1,
            }  # fmt: skip

    in_bench(main)


def test_a_commit_that_becomes_visible_after_its_hint_is_told(in_bench: Runner) -> None:
    async def main(bench: Bench) -> None:
        async with bench.watching() as watcher:
            await watched(watcher)
            looks: list[object] = []
            store = watcher._store
            assert store is not None
            ask = store.change_token
            store.change_token = lambda: (looks.append(1), ask())[1]  # type: ignore[method-assign]  # spied on
            with bench.store.transaction():
                bench.store.database.rows("UPDATE posteriors SET alpha = alpha + 1")
                bench.event()  # the log has been written, and is being synced
                await until(lambda: len(looks) == 3)
                assert bench.sessions.told == []
            await bench.sessions.heard.wait()
            assert bench.sessions.told == [["posteriors"]]

    in_bench(main)


def test_other_commits_and_other_files_are_told_to_nobody(in_bench: Runner) -> None:
    async def main(bench: Bench) -> None:
        async with bench.watching() as watcher:
            await watched(watcher)
            bench.event(bench.path + ".lock")
            bench.store.entries.add([NewEntry("memory", "n", "k", "t", "c")])
            bench.event()
            await until(lambda: watcher.describe()["hints"])
            bench.learn()
            bench.event(os.path.dirname(bench.path))
            await bench.sessions.heard.wait()
            assert bench.sessions.told == [["posteriors"]]
            assert watcher.describe()["hints"] == 2

    in_bench(main)


def test_what_is_told_late_is_told_together_and_nothing_is_lost(in_bench: Runner) -> None:
    async def main(bench: Bench) -> None:
        bench.sessions.count = 20  # 0.2 s apart
        async with bench.watching() as watcher:
            await watched(watcher)
            for _ in range(10):
                bench.learn()
                bench.event()
                await until(lambda: bench.sessions.told)
            with bench.store.transaction():
                bench.store.database.rows("UPDATE profiles SET epoch = epoch + 1")
            bench.event()
            await until(lambda: "profiles" in bench.sessions.told[-1])
            assert bench.sessions.told[0] == ["posteriors"]
            assert len(bench.sessions.told) <= 3

    in_bench(main)


def test_while_a_push_waits_nobody_looks_until_it_leaves(in_bench: Runner) -> None:
    async def main(bench: Bench) -> None:
        bench.sessions.count = 100  # 1 s apart
        async with bench.watching() as watcher:
            await watched(watcher)
            bench.learn()
            bench.event()
            await bench.sessions.heard.wait()
            bench.learn()
            bench.event()
            await until(lambda: watcher._push_timer is not None)
            looks: list[object] = []
            store = watcher._store
            assert store is not None
            ask = store.change_token
            store.change_token = lambda: (looks.append(1), ask())[1]  # type: ignore[method-assign]  # spied on
            with bench.store.transaction():
                bench.store.database.rows("UPDATE profiles SET epoch = epoch + 1")
            bench.event()
            await until(lambda: watcher.describe()["hints"] == 3)
            assert looks == []
            await until(lambda: len(bench.sessions.told) == 2)
            assert bench.sessions.told == [["posteriors"], ["posteriors", "profiles"]]
            await until(lambda: len(looks) >= 2)  # what was not yet visible is looked for again

    in_bench(main)


def test_the_poll_finds_what_no_event_told_of(in_bench: Runner) -> None:
    async def main(bench: Bench) -> None:
        async with bench.watching(SOON) as watcher:
            await watched(watcher)
            bench.learn()
            await bench.sessions.heard.wait()
            await until(lambda: watcher.describe()["missed"] == 1)
            await until(lambda: watcher.describe()["rebuilds"] == 1)
            assert bench.made[0].ended
            assert bench.sessions.told == [["posteriors"]]

    in_bench(main)


def test_a_dead_watch_is_made_anew(in_bench: Runner) -> None:
    async def main(bench: Bench) -> None:
        async with bench.watching(SOON) as watcher:
            await watched(watcher)
            bench.made[0].living = False
            await until(lambda: len(bench.made) == 2)
            await until(lambda: watcher.describe()["last_rebuild_reason"] == DIED)
            bench.learn()
            bench.event()
            await bench.sessions.heard.wait()
            assert bench.made[0].ended

    in_bench(main)


def test_a_directory_that_is_moved_away_and_put_back_is_watched_again(in_bench: Runner) -> None:
    async def main(bench: Bench) -> None:
        directory = os.path.dirname(bench.path)
        async with bench.watching(SOON) as watcher:
            await watched(watcher)
            bench.failures.append(OSError(errno.ENOENT, "No such file or directory"))
            os.rename(directory, directory + ".away")
            await until(lambda: watcher.describe()["path"] == POLL)
            os.rename(directory + ".away", directory)
            await watched(watcher)
            assert watcher.describe()["last_rebuild_reason"] == GONE
            bench.learn()
            bench.event()
            await bench.sessions.heard.wait()
            assert bench.sessions.told == [["posteriors"]]

    in_bench(main)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENOSPC, errno.ENOSYS])
def test_without_inotify_the_store_is_polled_and_the_reason_shown(
    in_bench: Runner, number: int
) -> None:
    async def main(bench: Bench) -> None:
        bench.failures += [OSError(number, os.strerror(number))] * 3
        async with bench.watching() as watcher:
            await until(lambda: os.strerror(number) in watcher.describe()["reason"])
            assert watcher.describe()["path"] == POLL
            bench.learn()
            await bench.sessions.heard.wait()
            assert bench.sessions.told == [["posteriors"]]
            assert len(bench.failures) == 2  # it is not tried at each poll

    in_bench(main)


def test_another_file_in_the_stores_place_is_another_past(in_bench: Runner) -> None:
    async def main(bench: Bench) -> None:
        async with bench.watching(SOON) as watcher:
            await watched(watcher)
            with SqliteStore(bench.path + ".new"):
                pass
            os.rename(bench.path + ".new", bench.path)
            for name in ("-wal", "-shm"):
                os.rename(bench.path + name, bench.path + ".old" + name)
            await bench.sessions.heard.wait()
            kinds = {kind for told in bench.sessions.told for kind in told}
            assert kinds == {"bindings", "generations", "posteriors", "profiles"}

    in_bench(main)


def test_a_storm_of_events_is_few_hints_and_hurts_nobody(in_bench: Runner) -> None:
    async def main(bench: Bench) -> None:
        async with bench.watching() as watcher:
            await watched(watcher)
            handler = bench.made[0].handler
            event = SimpleNamespace(src_path=bench.path + "-wal", dest_path="")

            def storm() -> None:
                for _ in range(50_000):
                    handler.dispatch(event)

            # The loop is held up: all that comes meanwhile has to be one.
            thread = threading.Thread(target=storm)
            thread.start()
            thread.join()
            assert watcher.describe()["hints"] == 0
            bench.learn()
            await bench.sessions.heard.wait()
            assert watcher.describe()["hints"] == 1
            assert bench.sessions.told == [["posteriors"]]

    in_bench(main)


def test_a_handler_never_raises() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        hints = HintRelay(loop, ["/x"], lambda: None)
        hints.dispatch(None)
        hints.dispatch(SimpleNamespace(src_path=5, dest_path=None))
        closed = asyncio.new_event_loop()
        closed.close()
        HintRelay(closed, ["/x"], lambda: None).dispatch(
            SimpleNamespace(src_path="/x", dest_path="")
        )
        arrived = asyncio.Event()
        hints = HintRelay(loop, ["/x"], arrived.set)
        hints.dispatch(SimpleNamespace(src_path="/y", dest_path=b"/x"))
        await asyncio.wait_for(arrived.wait(), DEADLINE)

    asyncio.run(main())


LOADED = """
import sys
{imports}
sys.exit(any(name.split(".")[0] == "watchdog" for name in sys.modules))
"""


@pytest.mark.parametrize(
    "imports",
    [
        "import khive_workers.zygote, khive_workers.session.worker as worker; worker.warm()",
        "import khive_supervisor.supervision.app",
    ],
    ids=["what the zygote warms", "the supervisor before it watches"],
)
def test_watchdog_is_loaded_by_nobody_who_does_not_watch(imports: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED.format(imports=imports)],
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'workers'}"},
        timeout=DEADLINE,
    )
    assert done.returncode == 0


# --- with the real watch --------------------------------------------------------------------------


@asynccontextmanager
async def really_watching(bench: Bench, interval: float) -> AsyncIterator[Watcher]:
    watcher = Watcher(bench.path, bench.sessions, poll_interval=interval)
    task = asyncio.create_task(watcher.run())
    try:
        await watched(watcher)
        yield watcher
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await watcher.stop()


def test_a_real_watch_sees_a_commit_long_before_any_poll(in_bench: Runner) -> None:
    async def main(bench: Bench) -> None:
        async with really_watching(bench, NEVER):
            bench.learn()
            await bench.sessions.heard.wait()
            assert bench.sessions.told == [["posteriors"]]

    in_bench(main)


@pytest.mark.parametrize("victim", ["observer", "emitter"])
def test_a_real_watch_whose_thread_ends_is_made_anew(in_bench: Runner, victim: str) -> None:
    async def main(bench: Bench) -> None:
        async with really_watching(bench, SOON) as watcher:
            assert watcher._watch is not None
            observer: Any = watcher._watch.observer
            thread = observer if victim == "observer" else next(iter(observer.emitters))
            thread.stop()
            await until(lambda: watcher.describe()["last_rebuild_reason"] == DIED)
            await watched(watcher)
            hints = watcher.describe()["hints"]
            bench.learn()
            await bench.sessions.heard.wait()
            await until(lambda: watcher.describe()["hints"] > hints)

    in_bench(main)


def test_fifty_thousand_real_events_lose_no_change(in_bench: Runner) -> None:
    async def main(bench: Bench) -> None:
        names = [bench.path + ".lock", bench.path + ".other"]

        def storm() -> None:
            files = [os.open(name, os.O_WRONLY | os.O_CREAT) for name in names]
            for number in range(50_000):  # in turns: the same event twice in a row is one
                os.write(files[number % 2], b"x")
            for file in files:
                os.close(file)

        async with really_watching(bench, 0.5) as watcher:
            await asyncio.to_thread(storm)
            bench.learn()
            await until(lambda: ["posteriors"] in bench.sessions.told)
            await watched(watcher)

    in_bench(main)


def test_when_it_stops_no_thread_and_no_descriptor_is_left(in_bench: Runner) -> None:
    async def main(bench: Bench) -> None:
        async with really_watching(bench, NEVER):
            assert inotify_instances() == 1
        assert inotify_instances() == 0
        names = {thread.name for thread in threading.enumerate()}
        assert not any("Emitter" in name or "Inotify" in name for name in names)

    in_bench(main)


def inotify_instances() -> int:
    entries = [f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd")]
    return sum("inotify" in os.readlink(entry) for entry in entries if os.path.exists(entry))
