"""The supervisor: owns the lock, the socket, the log file and every child; answers and restarts.

One asyncio loop; signal handlers only set events; the slow work is in one maintenance thread.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

from khive_supervisor import __version__, logs
from khive_supervisor.config.guarded import guarded
from khive_supervisor.config.load import LoadedConfig
from khive_supervisor.config.project.terms import Serving
from khive_supervisor.config.settings.model import Config
from khive_supervisor.control.protocol import MAX_FDS
from khive_supervisor.embed.names import embedder_socket, model_id_of
from khive_supervisor.errors import BootFailure, InvalidInput
from khive_supervisor.host import holder, ownership, paths, processes
from khive_supervisor.host.holder import Holder
from khive_supervisor.host.paths import make_private_directory
from khive_supervisor.sqlite.engine import upgrading
from khive_supervisor.supervision import systemd
from khive_supervisor.supervision.control.allow_list import AllowList
from khive_supervisor.supervision.control.belonging import Belonging
from khive_supervisor.supervision.control.grants import Grants
from khive_supervisor.supervision.control.moving import Mover
from khive_supervisor.supervision.control.operations import Operations
from khive_supervisor.supervision.control.server import (
    Arrival,
    ControlServer,
    acknowledge,
    redirect,
    streams,
)
from khive_supervisor.supervision.control.sessions import SessionTable
from khive_supervisor.supervision.control.socket_file import Rendezvous
from khive_supervisor.supervision.control.terms import SessionTerms
from khive_supervisor.supervision.lock import StoreLock
from khive_supervisor.supervision.maintenance.audit_events import AuditEvents
from khive_supervisor.supervision.maintenance.work import Upkeep
from khive_supervisor.supervision.processes import liveness
from khive_supervisor.supervision.processes.child import Child
from khive_supervisor.supervision.processes.environment import ChildEnvironment
from khive_supervisor.supervision.processes.http_listener import HttpFront
from khive_supervisor.supervision.processes.restart import RestartPolicy
from khive_supervisor.supervision.processes.spawner import Begin, ExecSpawner, Exit, Spawner
from khive_supervisor.supervision.processes.states import ProcessState
from khive_supervisor.supervision.processes.zygote import ForkSpawner
from khive_supervisor.supervision.reload.reloader import Configurable, Reloader
from khive_supervisor.supervision.roles.manager import Roles
from khive_supervisor.supervision.status import describe
from khive_supervisor.supervision.upgrade.handover import Successor, Trial, Upgrader, try_out
from khive_supervisor.supervision.upgrade.inherited import Inherited
from khive_supervisor.supervision.upgrade.strangers import Strangers
from khive_supervisor.supervision.watch.foothold import Foothold, is_there
from khive_supervisor.supervision.watch.rounds import Rounds
from khive_supervisor.supervision.watch.store_file import StoreWatch
from khive_supervisor.supervision.watch.watcher import Watcher

log = logs.get("khive.supervisor")

#: Descriptors that attach passes; the channel makes one more.
ATTACH_FDS = MAX_FDS - 1
#: Seconds that `status` waits for a fresh look at the store.
STATUS_PATIENCE = 0.5
#: Seconds that a reload which is at work gets before another release takes over, and then the
#: tasks: those that take longer go on by themselves, and their results count.
RELOAD_PATIENCE, ROLES_PATIENCE = 10.0, 2.0
#: Seconds after which `start` says ready although a child is not: full text serves meanwhile.
READY_PATIENCE = 10.0


class Supervisor:
    """One run of the supervisor, from lock to unlock."""

    def __init__(
        self,
        loaded: LoadedConfig,
        socket_path: str,
        *,
        http: bool = False,
        inherited: Inherited | None = None,
        deliberate: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.config = loaded.config
        self.config_file = loaded.file
        self._broken = loaded.broken
        # Whatever is named relative to a directory is so to the one that we leave in a moment.
        socket_path = self.socket_path = os.path.join(paths.working_directory(), socket_path)
        self.clock = clock
        self.started = clock()
        self.terms = SessionTerms()
        limits = liveness.of_store_users(self.config.store.busy_timeout)
        self.mover = Mover(__version__)
        self.sessions = SessionTable(
            clock=clock,
            on_hint=self._hinted,
            on_registered=self.mover.registered,
            limits=limits,
        )
        self.watcher = Watcher(
            self.config.store.path,
            self.sessions,
            poll_interval=self.config.supervisor.poll_interval,
            clock=clock,
            on_tasks=self._tasks_changed,
        )
        self.stop_requested = asyncio.Event()
        self._end_sessions = False
        self._stopped_by = "a signal"
        self._collector: logs.Collector | None = None
        me = Holder(os.getpid(), socket_path, loaded.file, __version__, sys.prefix)
        self._lock = StoreLock(self.config.store.path, me)
        self._rendezvous = Rendezvous(socket_path)
        self.belonging = Belonging.of(loaded, socket_path)
        self.notifier = systemd.from_environment(os.environ)
        self.environment = ChildEnvironment(self.config, socket_path, os.environ)
        self._allow_list = AllowList(socket_path)
        self.spawner = self._make_spawner()
        self.upkeep = Upkeep(
            self.config,
            model_id_of(self.config.embedder),
            self.environment.variables,
            self._can_build,
            clock=clock,
        )
        wanted = http or self.config.http.enabled
        self.http = HttpFront(self.config.http, socket_path) if wanted else None
        self.children = self._make_children()
        self.roles = Roles(
            self.config, self.spawner.spawn, self.upkeep.with_store, self._take_log, clock=clock
        )
        self.grants = Grants(
            lambda: self.config, self.sessions, self.roles.working, self.upkeep.with_store
        )
        self.records = AuditEvents(self.upkeep.with_audit)
        self.reloader = Reloader(
            loaded, self._parts(), self.roles, self.records, self.notifier, clock=clock
        )
        self.upgrader = Upgrader(lambda: self.config.supervisor.upgrade, self._try, self.hand_over)
        #: What this process becomes at its end, if another release takes over.
        self.successor: Successor | None = None
        self.store_watch = StoreWatch(os.path.realpath(self.config.store.path))
        self._rounds = Rounds(
            self.children,
            self.spawner,
            self.sessions,
            self.roles,
            self.upkeep.builder,
            self.store_watch,
            lambda: self.config.log.file,
        )
        self.operations = Operations(
            self.sessions,
            self.reloader,
            self.roles,
            self.records,
            self.upkeep,
            self.status,
            self._end,
            self.upgrader.ask,
            self.grants.of_control,
            store=self.belonging.store,
        )
        self._inherited = inherited
        self.strangers = Strangers()
        self._deliberate = deliberate or inherited is not None
        self._adopt(inherited)

    # --- what there is to run -----------------------------------------------------------------

    def _make_spawner(self) -> Spawner:
        fresh = ExecSpawner(self, self.environment.variables)
        how = self.config.supervisor.worker_start
        if how == "fork" or (how == "auto" and sys.platform == "linux"):
            policy = RestartPolicy.of(self.config)
            return ForkSpawner(fresh, self, policy, self.environment.variables, clock=self.clock)
        return fresh

    def _make_children(self) -> dict[str, Child]:
        children = list(self.spawner.children)
        if self.config.embedder.kind == "minilm":
            children.append(
                self._child("embedder", "khive_workers.embedder", on_ready=self.upkeep.wake)
            )
        if self.http is not None:
            children.append(
                self._child(
                    "http",
                    "khive_workers.http",
                    arguments=("--token-file", self.http.token_file),
                    channels=self.http.open_channels,
                    limits=liveness.of_store_users(self.config.store.busy_timeout),
                )
            )
        return {child.name: child for child in children}

    def _can_build(self) -> bool:
        """Whether there would be vectors: a builder asks the embedder for those that lack."""
        embedder = self.children.get("embedder")
        return embedder is None or embedder.state is ProcessState.READY

    def _child(self, name: str, module: str, **more: Any) -> Child:
        policy, environment = RestartPolicy.of(self.config), self.environment.variables
        return Child(name, module, policy, environment, clock=self.clock, **more)

    def _parts(self) -> list[Configurable]:
        """Return what goes by the configuration; what can fail comes first."""
        return [
            self.environment,
            self._allow_list,
            self.spawner,
            self.watcher,
            *self.children.values(),
            self.upkeep,
            self,
        ]

    def configure(self, config: Config) -> None:
        """Serve by another configuration from now on."""
        self.config = config
        logging.getLogger().setLevel(config.log.level.upper())

    # --- life ---------------------------------------------------------------------------------

    async def run(
        self,
        announce: Callable[[dict[str, Any]], None],
        listening: Callable[[], None] = lambda: None,
    ) -> None:
        """Serve until told to stop; `announce` gets the status once, when everything is ready.

        `listening` is called as soon as clients can connect; what it raises ends the start.

        Raises:
            KhiveError: it could not start; nothing was left behind.
        """
        self._install_signals()
        self._leave_directory()
        self.store_watch.before_start()
        self._open_store()
        try:
            listener = self._listen()
            self._allow_list.configure(self.config)
            self._start_log()
            self.store_watch.started()
            listening()
            control = ControlServer(listener, self._handlers(), self.upgrader.notice)
            for pid in processes.workers_of(self.socket_path):
                self.sessions.left_over(pid)
            for child in self.children.values():
                child.start()
            control.start()
            self._warn_of_roles()
            log.info("supervisor.started", version=__version__, store=self.config.store.path)
            self.records.started(self.config, self.config_file)
            tasks = [asyncio.create_task(self.records.outbox.run())]
            tasks.append(asyncio.create_task(self.upkeep.run()))
            tasks.append(asyncio.create_task(self.watcher.run()))
            tasks.append(asyncio.create_task(self._rounds.run()))
            tasks.append(asyncio.create_task(self._foothold(control).run()))
            await self.roles.start()
            tasks.append(asyncio.create_task(self.reloader.run()))
            await self._until_ready()
            if not self.stop_requested.is_set():
                announce(await self.status())
                self.notifier.ready()
            tasks.append(asyncio.create_task(self.mover.run()))
            tasks.append(asyncio.create_task(self.upgrader.run()))
            await self.stop_requested.wait()
            log.info("supervisor.stopping", successor=self.successor and self.successor.release)
            if self._end_sessions:
                await self.sessions.end_all()  # while their links still stand
            if self.successor is None:
                self.notifier.stopping()
                await control.stop()
            else:
                await control.pause()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            # After a reload that was at work: it would start new workers.
            if self.successor is None:
                await self.roles.stop(self.config.supervisor.stop_timeout)
            await self.watcher.stop()
            await self._stop_children()
            await self.records.stopped(self._stopped_by)
        finally:
            if self.successor is None and self._rendezvous.remove():
                self._allow_list.remove()
            self.upkeep.close()
            if self.successor is None:
                self._lock.release()
            log.info("supervisor.stopped")

    def _adopt(self, inherited: Inherited | None) -> None:
        """Go on with what this process held before it became this release."""
        if inherited is not None:
            self.strangers.look()
            self._lock.adopt(inherited.lock)
            if inherited.http is not None and self.http is not None:
                self.http.adopt(inherited.http)

    def _listen(self) -> socket.socket:
        kept = self._inherited
        adopted = self._rendezvous.adopt(kept.listener) if kept is not None else None
        return adopted or self._rendezvous.bind()

    def _leave_directory(self) -> None:
        """Stand on nothing that may go away: the one that the first client was in, for one."""
        if os.environ.get("KHIVE_STORE"):
            os.environ["KHIVE_STORE"] = self.config.store.path  # it is read again at each reload
        os.chdir("/")

    def _open_store(self) -> None:
        """The store first: its guards refuse before a lock file is made beside a foreign file."""
        ownership.check(guarded(self.config, self.config_file, self.socket_path))
        directory = os.path.dirname(os.path.realpath(self.config.store.path))
        if not self._deliberate:
            upgrading.check_environment(self._lock.store, holder.named_by(self._lock.store))
        if os.path.isdir(directory) and os.access(directory, os.W_OK):
            self._lock.acquire()
        self.upkeep.open()
        self._lock.acquire()

    def _start_log(self) -> None:
        settings = self.config.log
        try:
            make_private_directory(os.path.dirname(settings.file))
            self._collector = logs.collect_into(
                settings.file,
                level=settings.level,
                max_bytes=settings.max_bytes,
                backups=settings.backups,
            )
        except OSError as error:
            raise BootFailure(
                f"The log {settings.file} cannot be written: {error.strerror}.",
                hint="Set log.file to a path in a directory of yours.",
            ) from error

    def _warn_of_roles(self) -> None:
        """What a role lacks keeps nobody else from being served; a reload would refuse it."""
        for text in self._broken:
            log.warning("capability.broken", problem=text)

    # --- what it stands on ----------------------------------------------------------------------

    def _foothold(self, control: ControlServer) -> Foothold:
        embedder = self.children.get("embedder")

        def bind() -> None:
            control.listen_at(self._rendezvous.bind())
            self._allow_list.configure(self.config)
            if self.http is not None:
                self.http.keep_token()

        def embedder_missing() -> bool:
            ready = embedder is not None and embedder.state is ProcessState.READY
            return ready and not is_there(embedder_socket(self.socket_path))

        def renew_embedder() -> None:
            if embedder is not None:
                embedder.kill()

        def yield_to(why: str) -> None:
            self._stopped_by = why
            self.stop_requested.set()

        return Foothold(
            self._lock, self._rendezvous.missing, bind, embedder_missing, renew_embedder, yield_to
        )

    def _install_signals(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stop_now)
        loop.add_signal_handler(signal.SIGINT, self._stop_now)
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)
        loop.add_signal_handler(signal.SIGCHLD, self._reap)
        # Blocked since the first line of this process; one that came meanwhile comes now.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGHUP,))

    def _stop_now(self) -> None:
        self.successor = None
        self.stop_requested.set()

    def _hang_up(self) -> None:
        # A terminal that closes sends it as well: never a reason to end.
        log.info("supervisor.hangup")
        self.reloader.ask("SIGHUP")

    async def status(self) -> dict[str, Any]:
        """What `status` answers, after a look at the store if that is to be had at once."""
        # An entry stored a moment ago should be counted; a slow disk should not delay the answer.
        look = asyncio.gather(self.upkeep.look(), self.roles.look())
        look.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.wait([look], timeout=STATUS_PATIENCE)
        return describe(self)

    def _end(self, who: str, *, sessions: bool) -> None:
        """See `operations.End`."""
        self._stopped_by = who
        self._end_sessions = sessions
        # The answer must leave before the socket does.
        asyncio.get_running_loop().call_later(0.05, self._stop_now)

    # --- another release ------------------------------------------------------------------------

    async def _try(self, successor: Successor) -> Trial:
        return await try_out(successor, self.config_file, self.config.store.path)

    async def hand_over(self, successor: Successor) -> None:
        """Have another release take over: roles let go of what they do, then this process ends.

        Returns before that; what is asked meanwhile is still answered.
        """
        self._stopped_by = f"release {successor.release}"
        self._background = asyncio.create_task(self._let_go(successor))

    async def _let_go(self, successor: Successor) -> None:
        await self.reloader.until_quiet(RELOAD_PATIENCE)
        await self.roles.let_go(ROLES_PATIENCE)
        if not self.stop_requested.is_set():
            self.successor = successor
            self.stop_requested.set()

    def kept(self) -> Inherited:
        """What goes on when this process becomes another release; call when `run` has returned."""
        return Inherited(
            __version__,
            self.socket_path,
            self._lock.descriptor(),
            self._rendezvous.descriptor(),
            self.http.descriptor() if self.http is not None else None,
        )

    def _reap(self) -> None:
        for child in self.children.values():
            child.reap()
        self.upkeep.builder.reap()
        self.spawner.reap()
        self.strangers.reap()

    async def _until_ready(self) -> None:
        """Wait until every child is ready, somebody wants to stop, or patience ends."""
        # One that could not be started at all (a port in use) waits for its turn; we do not.
        begun = (one for one in self.children.values() if one.state is not ProcessState.BACKOFF)
        ready = asyncio.gather(*(child.ready.wait() for child in begun), self.roles.until_warm())
        stopped = asyncio.ensure_future(self.stop_requested.wait())
        waits: list[asyncio.Future[Any]] = [ready, stopped]
        await asyncio.wait(waits, timeout=READY_PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)

    async def _stop_children(self) -> None:
        self.spawner.close()
        children = [*self.children.values(), self.upkeep.builder]
        for child in children:
            child.stop()
        done = asyncio.gather(*(child.stopped.wait() for child in children))
        try:
            await asyncio.wait_for(done, self.config.supervisor.stop_timeout)
        except TimeoutError:
            for child in children:
                if not child.stopped.is_set():
                    log.warning("child.killed", child=child.name)
                    child.kill()
        if self.http is not None and self.successor is None:
            self.http.close()

    # --- connections ----------------------------------------------------------------------------

    def _handlers(self) -> dict[str, Callable[[Arrival], Any]]:
        return {
            "attach": self._attach,
            "verbs": self._verbs,
            "worker": self._worker,
            "control": self.operations.serve,
        }

    async def _attach(self, arrival: Arrival) -> None:
        if len(arrival.fds) != ATTACH_FDS:
            raise InvalidInput(
                f"A session needs {ATTACH_FDS} descriptors; {len(arrival.fds)} came."
            )
        await self._take_client(arrival, [*arrival.fds, arrival.conn.fileno()])

    async def _verbs(self, arrival: Arrival) -> None:
        await self._take_client(arrival, [arrival.conn.fileno()])

    async def _take_client(self, arrival: Arrival, fds: list[int]) -> None:
        elsewhere = await self.belonging.admit(arrival.hello)
        if elsewhere is not None:
            await redirect(arrival, elsewhere)
            return
        request = await self._request(arrival)
        if acknowledge(arrival):
            self.spawner.spawn(request, fds)

    async def _request(self, arrival: Arrival) -> dict[str, Any]:
        """What a worker for a client is to be told."""
        terms = await self.terms.of(Serving(self.config, self.config_file), arrival.hello)
        allowed = set(self.config.session.env_allow)
        env = arrival.hello.get("env") or {}
        return {
            **arrival.hello,
            "notice": self.upgrader.notice_for(arrival.hello),
            "env": {name: value for name, value in env.items() if name in allowed},
            **terms.for_worker(),
            **await self.grants.passed_on(arrival),
        }

    async def _worker(self, arrival: Arrival) -> None:
        assert self._collector is not None
        if arrival.fds:
            self._collector.add(socket.socket(fileno=arrival.fds.pop()))
        reader, writer = await streams(arrival)
        try:
            await self.sessions.follow(arrival.hello, reader, writer)
        finally:
            writer.close()

    def worker_began(self, begin: Begin) -> None:
        """A process has taken up a request."""
        if begin.worker:
            self.roles.worker_began(begin)
        else:
            self.sessions.began(begin)

    def worker_exited(self, ended: Exit) -> None:
        """A worker's process has ended."""
        if ended.worker:
            self.roles.worker_exited(ended)
            return
        self.sessions.exited(ended.pid)
        level = log.warning if ended.code else log.info
        level("session.exited", worker=ended.pid, exit=ended.how)

    # --- roles ----------------------------------------------------------------------------------

    def _hinted(self, message: dict[str, Any]) -> None:
        """A session has changed tasks; what it says is not trusted to be well formed."""
        if message.get("hint") == "tasks":
            role, cancelled = message.get("role"), message.get("cancel")
            if isinstance(cancelled, int):
                self.roles.cancel(cancelled)
            self.roles.wake(role if isinstance(role, str) else None)

    def _tasks_changed(self) -> None:
        self.roles.wake()

    def _take_log(self, end: socket.socket) -> None:
        assert self._collector is not None
        self._collector.add(end)
