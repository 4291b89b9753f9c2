"""The supervisor: owns the lock, the socket, the log file and every child; answers and restarts.

One asyncio loop; signal handlers only set events; the slow work is in one maintenance thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from khive_supervisor import __version__, logs
from khive_supervisor.config.guarded import guarded
from khive_supervisor.host import holder, ownership, processes
from khive_supervisor.host.paths import make_private_directory
from khive_supervisor.sqlite.engine import upgrading
from khive_supervisor.supervision.processes.liveness import TICK, until_due
from khive_supervisor.supervision.processes.states import ProcessState
from khive_supervisor.supervision.team import replicator
from khive_supervisor.supervision.upgrade.handover import Successor
from khive_supervisor.supervision.upgrade.inherited import Inherited, StartOptions
from khive_supervisor.supervision.wiring import Parts
from khive_supervisor.text.plain_json import JsonObject

log = logs.get("khive.supervisor")

#: Seconds that roles wait for the replicator, which waits for a team's server.
REPLICATOR_PATIENCE = 5.0
#: Seconds after which `start` says ready although a child is not: full text serves meanwhile.
READY_PATIENCE = 10.0


class Supervisor:
    """One run of the supervisor, from lock to unlock."""

    def __init__(self, start: StartOptions) -> None:
        self.parts = Parts(start)

    async def run(
        self,
        announce: Callable[[JsonObject], None],
        listening: Callable[[], None] = lambda: None,
    ) -> None:
        """Serve until told to stop; `announce` gets the status once, when everything is ready.

        `listening` is called as soon as clients can connect; what it raises ends the start.

        Raises:
            KhiveError: it could not start; nothing was left behind.
        """
        parts, wanted = self.parts, self.parts.ending.wanted
        self._install_signals()
        self._take_store()
        try:
            self._listen(listening)
            await self._start()
            async with _together() as group:
                tasks = _begin(group, self._watch())
                await self._until_ready()
                await self._say_ready(announce)
                tasks += _begin(group, [parts.mover.run, parts.upgrader.run])
                await wanted.wait()
                await self._accept_nobody()
                for task in tasks:
                    task.cancel()
            await self._stop()
        finally:
            self._let_go()

    # --- the start ------------------------------------------------------------------------------

    def _install_signals(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.parts.ending.now)
        loop.add_signal_handler(signal.SIGINT, self.parts.ending.now)
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)
        loop.add_signal_handler(signal.SIGCHLD, self._reap)
        # Blocked since the first line of this process; one that came meanwhile comes now.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGHUP,))

    def _hang_up(self) -> None:
        # A terminal that closes sends it as well: never a reason to end.
        log.info("supervisor.hangup")
        self.parts.reloader.ask("SIGHUP")

    def _reap(self) -> None:
        for child in self.parts.processes:
            child.reap()
        self.parts.spawner.reap()
        self.parts.strangers.reap()

    def _take_store(self) -> None:
        """Have the store's lock, and the store open; stand on nothing that may go away."""
        parts = self.parts
        start, config, lock = parts.start, parts.config, parts.lock
        if start.inherited is not None:
            parts.strangers.look()
            lock.adopt(start.inherited.lock)
        if os.environ.get("KHIVE_STORE"):
            os.environ["KHIVE_STORE"] = config.store.path  # it is read again at each reload
        os.chdir("/")
        parts.store_watch.before_start()
        # The store's guards refuse before a lock file is made beside a foreign file.
        ownership.check(guarded(config, parts.config_file, parts.socket_path))
        directory = os.path.dirname(lock.store)
        if config.store.url:
            make_private_directory(directory)
        if not (start.deliberate or start.inherited):
            upgrading.check_environment(lock.store, holder.named_by(lock.store))
        if os.path.isdir(directory) and os.access(directory, os.W_OK):
            lock.acquire()
        replicator.join(config, parts.environment.variables)
        parts.upkeep.open()
        lock.acquire()

    def _listen(self, listening: Callable[[], None]) -> None:
        """Have clients wait at the sockets, those that this process has kept among them."""
        parts, kept = self.parts, self.parts.start.inherited
        parts.control.listen(kept.listener if kept else None)
        if kept is not None and kept.http is not None and parts.http is not None:
            parts.http.adopt(kept.http)
        parts.allow_list.configure(parts.config)
        parts.log_file.open()
        parts.store_watch.started()
        listening()

    async def _start(self) -> None:
        """Start all children and roles, and serve whoever waits."""
        parts = self.parts
        for pid in processes.workers_of(parts.socket_path):
            parts.sessions.left_over(pid)
        for child in parts.wanted_children:
            child.start()
        parts.control.start()
        for text in parts.start.loaded.broken:
            # What a role lacks keeps nobody else from being served; a reload would refuse it.
            log.warning("capability.broken", problem=text)
        log.info("supervisor.started", version=__version__, store=parts.config.store.path)
        parts.records.started(parts.config, parts.config_file)
        if parts.replicator is not None:
            # Roles are written down at once; if the server is away, that is tried again.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(REPLICATOR_PATIENCE):
                    await parts.replicator.ready.wait()
        await parts.roles.start()

    def _watch(self) -> list[Callable[[], Awaitable[None]]]:
        """Return what goes on all the time, from the first client on."""
        parts = self.parts
        return [
            parts.records.outbox.run,
            parts.upkeep.run,
            parts.watcher.run,
            parts.confirmation.run,
            self._make_rounds,
            parts.reloader.run,
        ]

    async def _make_rounds(self) -> None:
        """Make all looks in their order at each tick."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(until_due(loop.time(), TICK))
            for look in self.parts.looks:
                try:
                    look()
                except Exception as error:  # noqa: BLE001 - a defect must not end all watching
                    log.error("rounds.failed", look=look.__qualname__, error=repr(error))

    async def _until_ready(self) -> None:
        """Wait until every child is ready, somebody wants to stop, or patience ends."""
        # One that could not be started at all (a port in use) waits for its turn; we do not.
        children = self.parts.wanted_children
        begun = [child for child in children if child.state is not ProcessState.BACKOFF]
        ready = asyncio.gather(*(one.ready.wait() for one in begun), self.parts.roles.until_warm())
        stopped = asyncio.ensure_future(self.parts.ending.wanted.wait())
        waits: list[asyncio.Future[object]] = [ready, stopped]  # type: ignore[list-item]  # covariant
        await asyncio.wait(waits, timeout=READY_PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)

    async def _say_ready(self, announce: Callable[[JsonObject], None]) -> None:
        if not self.parts.ending.wanted.is_set():
            announce(dict(await self.parts.fresh_status()))
            self.parts.notifier.ready()

    # --- the end --------------------------------------------------------------------------------

    async def _accept_nobody(self) -> None:
        """Accept nobody any more; with a successor, who comes waits at the socket."""
        parts, successor = self.parts, self.successor
        log.info("supervisor.stopping", successor=successor and successor.release)
        parts.hook_worker.end()
        if parts.ending.sessions:
            await parts.sessions.end_all()  # while their links still stand
        if successor is None:
            parts.notifier.stopping()
            await parts.control.stop()
        else:
            await parts.control.pause()

    async def _stop(self) -> None:
        """Stop all that was started, roles first; a reload that was at work has ended."""
        parts, patience = self.parts, self.parts.config.supervisor.stop_timeout
        if self.successor is None:
            await parts.roles.stop(patience)
        await parts.watcher.stop()
        parts.spawner.close()
        for child in parts.processes:
            child.stop()
        ends = [asyncio.ensure_future(child.stopped.wait()) for child in parts.processes]
        _, left = await asyncio.wait(ends, timeout=patience)
        for end in left:
            end.cancel()
        for child in parts.processes:
            if not child.stopped.is_set():
                log.warning("child.killed", child=child.name)
                child.kill()
        if self.successor is None:
            if parts.http is not None:
                parts.http.close()
            for pid in processes.stopped_workers(parts.socket_path):
                processes.end_group(pid)  # it cannot see that its supervisor goes
        await parts.records.stopped(parts.ending.by)

    def _let_go(self) -> None:
        """Let go of the store; with a successor, the lock and the sockets are its."""
        parts = self.parts
        if self.successor is None and not parts.control.rendezvous.missing():
            for child in parts.processes:  # before another supervisor can be at this socket
                child.clear()
        if self.successor is None and parts.control.rendezvous.remove():
            parts.allow_list.remove()
        parts.upkeep.close()
        if self.successor is None:
            parts.lock.release()
        log.info("supervisor.stopped")

    # --- another release ------------------------------------------------------------------------

    @property
    def successor(self) -> Successor | None:
        """What this process becomes at its end, if another release takes over."""
        return self.parts.ending.successor

    def kept(self) -> Inherited:
        """Return what goes on when this process becomes another release; `run` has returned."""
        parts = self.parts
        return Inherited(
            __version__,
            parts.socket_path,
            parts.lock.descriptor(),
            parts.control.rendezvous.listener.fileno(),
            parts.http.descriptor() if parts.http is not None and parts.serves_http else None,
        )


def _begin(
    group: asyncio.TaskGroup, runs: Sequence[Callable[[], Awaitable[None]]]
) -> list[asyncio.Task[None]]:
    return [group.create_task(_lasting(run)) for run in runs]


async def _lasting(run: Callable[[], Awaitable[None]]) -> None:
    """Run what goes on until it is cancelled; one that fails leaves the others at work."""
    try:
        await run()
    except Exception:  # noqa: BLE001 - a defect in one must not end all sessions
        log.error("supervisor.part_failed", part=run.__qualname__, trace=traceback.format_exc())


@contextlib.asynccontextmanager
async def _together() -> AsyncIterator[asyncio.TaskGroup]:
    """Give a task group; what is raised within is raised as it is, once all tasks have ended."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as raised:
        raise raised.exceptions[0] from None
