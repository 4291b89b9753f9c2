"""The parts of a supervisor, each made of those that it needs: who has whom, and nothing else."""

from __future__ import annotations

import asyncio
import functools
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace

from khive_supervisor import __version__
from khive_supervisor.config.project.terms import Serving
from khive_supervisor.config.settings.http import HttpSettings
from khive_supervisor.config.settings.model import Config
from khive_supervisor.embed.names import embedder_socket, model_id_of
from khive_supervisor.errors import AlreadyRunning
from khive_supervisor.host import holder, paths, processes
from khive_supervisor.host.holder import Holder
from khive_supervisor.sqlite.team.turn_client import turn_files
from khive_supervisor.supervision import systemd
from khive_supervisor.supervision.control.arrivals import Arrivals, WorkerArrivals
from khive_supervisor.supervision.control.belonging import Belonging
from khive_supervisor.supervision.control.desk import DeskDoor
from khive_supervisor.supervision.control.ending import Ending
from khive_supervisor.supervision.control.grants import Grants
from khive_supervisor.supervision.control.moving import Mover
from khive_supervisor.supervision.control.operations import Operations
from khive_supervisor.supervision.control.server import ControlServer
from khive_supervisor.supervision.control.sessions import SERVING, SessionTable
from khive_supervisor.supervision.control.socket_file import AllowList, Rendezvous
from khive_supervisor.supervision.control.terms import SessionTerms
from khive_supervisor.supervision.lock import StoreLock
from khive_supervisor.supervision.maintenance.aside import Aside
from khive_supervisor.supervision.maintenance.audit_events import AuditEvents
from khive_supervisor.supervision.maintenance.confirmation import Confirmation
from khive_supervisor.supervision.maintenance.log_file import LogFile
from khive_supervisor.supervision.maintenance.work import Upkeep
from khive_supervisor.supervision.processes.child import Child
from khive_supervisor.supervision.processes.environment import ChildEnvironment
from khive_supervisor.supervision.processes.hook_worker import HookWorker
from khive_supervisor.supervision.processes.http_listener import HTTP_OFF, HttpFront
from khive_supervisor.supervision.processes.liveness import of_store_users
from khive_supervisor.supervision.processes.notifier import NotifierChild
from khive_supervisor.supervision.processes.restart import RestartPolicy
from khive_supervisor.supervision.processes.spawner import Spawner
from khive_supervisor.supervision.processes.states import ProcessState
from khive_supervisor.supervision.processes.zygote import ForkSpawner
from khive_supervisor.supervision.reload.reloader import Configurable, Reloader
from khive_supervisor.supervision.roles.manager import Roles
from khive_supervisor.supervision.status import Status
from khive_supervisor.supervision.team.applier import ApplierChild
from khive_supervisor.supervision.team.errand import environment_for
from khive_supervisor.supervision.team.replicator import NO_TEAM, ReplicatorChild, TeamStatus
from khive_supervisor.supervision.upgrade.handover import Upgrader, package_directory, try_out
from khive_supervisor.supervision.upgrade.inherited import StartOptions, Strangers
from khive_supervisor.supervision.watch.foothold import Foothold
from khive_supervisor.supervision.watch.store_file import StoreWatch
from khive_supervisor.supervision.watch.watcher import Watcher

#: Seconds that `status` waits for a fresh look at the store.
STATUS_PATIENCE = 0.5
#: Seconds from the start in which children of those that stood in for a supervisor are looked for.
STRAYS_WITHIN = 60.0


class Parts:
    """All parts of one supervisor, made in the order of who needs whom."""

    def __init__(self, start: StartOptions) -> None:
        config = start.loaded.config
        # Whatever is named relative to a directory is so to the one that it leaves in a moment.
        self.socket_path = os.path.join(paths.working_directory(), start.socket_path)
        self.config_file = start.loaded.file
        self.start = start
        self.started = time.monotonic()
        me = Holder(os.getpid(), self.socket_path, self.config_file, __version__, sys.prefix)
        self.lock = StoreLock(config.store.path, me)
        self.store_watch = StoreWatch(os.path.realpath(config.store.path))
        self.log_file = LogFile(config.log)
        self.notifier = systemd.from_environment(os.environ)
        self._make_processes(config)
        self._make_roles(config)
        self._make_control()
        self._make_watch()

    # --- processes ------------------------------------------------------------------------------

    def _make_processes(self, config: Config) -> None:
        self.environment = ChildEnvironment(config, self.socket_path, os.environ)
        self.mover = Mover(__version__)
        limits = of_store_users(config.store.busy_timeout)
        self.sessions = SessionTable(
            roles=bool(config.roles), on_registered=self.mover.registered, limits=limits
        )
        self.workers = WorkerArrivals(
            self.sessions, lambda: self.roles, lambda: self.confirmation, self.log_file.take
        )
        self.upkeep = Upkeep(
            config,
            model_id_of(config.embedder),
            self.environment.variables,
            self._can_build,
        )
        self.http: HttpFront | None = None
        self.spawner = self._spawner(config)
        self.hook_worker = HookWorker(self.spawner, time.monotonic)
        self.replicator: ReplicatorChild | None = None
        self.applier = ApplierChild(
            environment=self.environment.variables,
            connected=lambda: self.replicator is not None and self.replicator.connected,
            on_exit=self.upkeep.wake,
        )
        self.upkeep.on_waiting = self.applier.found
        self.children = self._children(config)
        #: Whether HTTP is served from the start on; otherwise from the first wish for the page.
        self.serves_http = self.start.http or config.http.enabled
        if self.serves_http:
            self.http = self._add_http(config, config.http)
        self.notifying = NotifierChild.of(config, self.environment.variables)
        self.strangers = Strangers()

    def _spawner(self, config: Config) -> Spawner:
        variables = self.environment.variables
        how = config.supervisor.worker_start
        if how == "fork" or (how == "auto" and sys.platform == "linux"):
            return ForkSpawner(self.workers, variables, RestartPolicy.of(config))
        return Spawner(self.workers, variables)

    def _children(self, config: Config) -> dict[str, Child]:
        child = functools.partial(
            Child,
            policy=RestartPolicy.of(config),
            environment=self.environment.variables,
        )
        children = list(self.spawner.children)
        if config.embedder.kind == "minilm":
            # Workers wait for it, and are told when it does not answer.
            hint = functools.partial(self.sessions.tell_all, {"hint": "embedder"}, kinds=SERVING)
            wake, files = self.upkeep.wake, (embedder_socket(self.socket_path),)
            module = "khive_workers.embedder"
            children.append(child("embedder", module, files=files, on_ready=wake, on_silence=hint))
        if config.store.url:
            variables = environment_for(config, self.environment.variables)
            policy = RestartPolicy.of(config)
            build = functools.partial(self.upkeep.builder.build, "something was purged", force=True)
            self.replicator = ReplicatorChild(
                policy=policy,
                environment=variables,
                files=turn_files(config.store.path),
                build_index=build,
                on_state=self._team_changed,
            )
            children.append(self.replicator)
        return {one.name: one for one in children}

    def _team_changed(self) -> None:
        """The server is used again, or no more: what waits for it may be applied now."""
        self.applier.forgive()
        self.upkeep.wake()

    def _add_http(self, config: Config, settings: HttpSettings) -> HttpFront:
        """Have an HTTP worker among the children; it is not started yet."""
        front = HttpFront(settings, self.socket_path)
        self.children["http"] = Child(
            "http",
            "khive_workers.http",
            RestartPolicy.of(config),
            self.environment.variables,
            arguments=("--token-file", front.token_file),
            channels=front.open_channels,
            limits=of_store_users(config.store.busy_timeout),
        )
        return front

    def serve_http(self) -> tuple[Child, HttpFront]:
        """Return the HTTP worker and its socket, started on a free port if HTTP is not served."""
        if self.http is None:
            self.http = self._add_http(self.config, replace(self.config.http, port=0))
            child = self.children["http"]
            self.configurable.append(child)
            self.looks.append(child.look)
            child.start()
        self.children["http"].try_again()
        return self.children["http"], self.http

    def _can_build(self) -> bool:
        """Return whether there would be vectors: what lacks some is sent to the embedder."""
        embedder = self.children.get("embedder")
        return embedder is None or embedder.state is ProcessState.READY

    # --- roles, and what changes the configuration ----------------------------------------------

    def _make_roles(self, config: Config) -> None:
        upkeep = self.upkeep
        self.roles = Roles(config, self.spawner.spawn, upkeep.with_store, self.log_file.take)
        path = os.path.realpath(config.store.path)
        poll_interval = config.supervisor.poll_interval
        self.watcher = Watcher(path, self.sessions, poll_interval, self.roles.wake)
        self.allow_list = AllowList(self.socket_path)
        self.records = AuditEvents(upkeep.with_store)
        # What can fail comes first.
        self.configurable: list[Configurable] = [
            self.environment,
            self.allow_list,
            self.spawner,
            self.hook_worker,
            self.watcher,
            *self.children.values(),
            self.notifying,
            upkeep,
            self.log_file,
            self.sessions,
            self.roles,
        ]
        self.reloader = Reloader(
            self.config_file,
            config,
            self.configurable,
            self.roles,
            self.records,
            self.notifier,
        )
        self.ending = Ending(self.reloader, self.roles)

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self.reloader.config

    # --- the control socket ---------------------------------------------------------------------

    def _make_control(self) -> None:
        aside = Aside()
        self.confirmation = Confirmation(self.upkeep.with_store)
        self.terms = SessionTerms(aside)
        self.upgrader = Upgrader(
            lambda: self.config.supervisor.upgrade,
            lambda successor: try_out(successor, self.config_file, self.config.store.path),
            self.ending.hand_over,
        )
        belonging = Belonging.of(self.start.loaded, self.socket_path, aside)
        grants = Grants(
            lambda: self.config, self.sessions, self.roles.working, self.upkeep.with_store, aside
        )
        clients = Arrivals(
            lambda: Serving(self.config, self.config_file),
            belonging,
            self.terms,
            grants,
            self.upgrader,
            self.spawner,
            self.hook_worker,
            self.confirmation,
        )
        operations = Operations(
            self.sessions,
            self.reloader,
            self.roles,
            self.records,
            self.upkeep,
            self.ending,
            self.upgrader,
            grants,
            self.fresh_status,
            belonging.store,
            DeskDoor(self.serve_http),
        )
        handlers = {
            "attach": clients.attach,
            "verbs": clients.verbs,
            "worker": self.workers.worker,
            "control": operations.serve,
        }
        self.control = ControlServer(Rendezvous(self.socket_path), handlers, self.upgrader.notice)

    # --- the watch ------------------------------------------------------------------------------

    def _make_watch(self) -> None:
        missing = self.control.rendezvous.missing
        footholds = [
            Foothold("take the lock again", self.lock.missing, self._hold_again),
            Foothold("bind the socket again", missing, self._listen_again),
        ]
        if embedder := self.children.get("embedder"):
            # It removes its own socket when it ends, so one look does not count.
            missing = functools.partial(self._deaf, embedder)
            footholds.append(Foothold("start the embedder again", missing, embedder.kill, 2))
        #: What is looked at each second, in this order.
        self.looks: list[Callable[[], None]] = [
            *(child.look for child in self.processes),
            self.spawner.look,
            self.hook_worker.look,
            self._look_for_strays,
            self.sessions.look,
            self.roles.look_at_workers,
            self.store_watch.look,
            self.log_file.look,
            *(foothold.look for foothold in footholds),
        ]

    def _look_for_strays(self) -> None:
        """For a while after the start, look at workers that the time without a supervisor left."""
        if time.monotonic() < self.started + STRAYS_WITHIN:
            ours = {os.getpid(), *(child.pid for child in self.processes)}
            for pid in processes.stopped_workers(self.socket_path):
                found = processes.process(pid)
                if found is not None and found.parent not in ours:
                    self.sessions.left_over(pid)

    def _hold_again(self) -> None:
        try:
            self.lock.take_again()
        except AlreadyRunning:
            self.ending.yield_to(holder.named_by(self.lock.store))
            raise

    def _listen_again(self) -> None:
        self.control.listen_again()
        self.allow_list.configure(self.config)
        if self.http is not None:
            self.http.keep_token()

    def _deaf(self, embedder: Child) -> bool:
        """Return whether the embedder is ready and its socket's file is gone."""
        ready = embedder.state is ProcessState.READY
        return ready and not os.path.lexists(embedder_socket(self.socket_path))

    # --- what is told of them -------------------------------------------------------------------

    async def fresh_status(self) -> Status:
        """Return what `status` answers, after a look at the store if that is to be had at once."""
        # An entry stored a moment ago should be counted; a slow disk should not delay the answer.
        look = asyncio.gather(self.upkeep.look(), self.roles.look())
        look.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.wait([look], timeout=STATUS_PATIENCE)
        return self.status()

    def status(self) -> Status:
        """Return what is known without a look."""
        now, config = time.monotonic(), self.config
        return {
            "state": self._overall(),
            "version": __version__,
            "prefix": sys.prefix,
            "package": package_directory(),
            "upgrade": self.upgrader.describe(),
            "pid": os.getpid(),
            "uptime_seconds": round(now - self.started, 1),
            "config_file": self.config_file,
            "socket": self.socket_path,
            "store": config.store.path,
            "store_problem": self.store_watch.problem,
            "store_note": self.store_watch.note,
            "log": config.log.file,
            "worker_start": self.spawner.how,
            "children": [child.describe() for child in self.wanted_children],
            "builder": self.upkeep.builder.progress_status(),
            "index": self.upkeep.index_state.describe(config.embedder.kind),
            "team": self._team_status(),
            "freshness": self.watcher.describe(),
            "http": self.http.describe(self.children["http"]) if self.http else HTTP_OFF,
            **self.roles.describe(),
            "environment": self.roles.environment.describe(),
            "sessions": [session.describe(now) for session in self.sessions],
            "ignored": self.terms.describe(),
            "sessions_served": self.sessions.served,
            "sessions_hung": self.sessions.hung,
            "reload": self.reloader.describe(),
        }

    def _team_status(self) -> TeamStatus:
        if self.replicator is None:
            return NO_TEAM
        found = self.applier.standing
        return {
            **self.replicator.team,
            "waiting": found.waiting,
            "waiting_seconds": found.age(time.time()),
            "put_aside": found.aside,
            "waiting_problem": self.applier.problem,
        }

    def _overall(self) -> str:
        states = {child.state for child in self.wanted_children}
        hangs = not all(child.well for child in self.wanted_children)
        if self.roles.failed or hangs or self.store_watch.problem:
            return "degraded"
        if states <= {ProcessState.READY}:
            return "ready"
        down = states & {ProcessState.FATAL, ProcessState.BACKOFF}
        return "degraded" if down else "starting"

    @property
    def processes(self) -> list[Child]:
        """All children, the builder, the notifier and the applier among them."""
        return [*self.children.values(), self.notifying, self.upkeep.builder, self.applier]

    @property
    def wanted_children(self) -> list[Child]:
        """The children that are to run all the time, as things are configured."""
        return [*self.children.values(), *([self.notifying] if self.notifying.wanted else [])]
