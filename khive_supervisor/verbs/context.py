"""What a verb works with: the store, the search, the session it serves."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from khive_supervisor.access import seen
from khive_supervisor.access.grant import AGENT, Grant
from khive_supervisor.audit import actors
from khive_supervisor.config.load import namespace_allowed
from khive_supervisor.config.settings.model import Config
from khive_supervisor.control import client
from khive_supervisor.embed.base import Embedder
from khive_supervisor.embed.client import EmbedderClient
from khive_supervisor.errors import Denied, KhiveError, NotFound, NotRunning
from khive_supervisor.freshness import (
    GENERATIONS,
    Versions,
)
from khive_supervisor.projects.identity import ProjectIdentity
from khive_supervisor.redaction.gate import TextGate
from khive_supervisor.search.engine import SearchEngine
from khive_supervisor.sqlite.opening import open_store
from khive_supervisor.store.interface import Store
from khive_supervisor.store.model import EVERYTHING
from khive_supervisor.store.projects import ProjectFamily
from khive_supervisor.text import wellformed
from khive_supervisor.text.plain_json import JsonObject
from khive_supervisor.verbs.confined.store import confined_store
from khive_supervisor.verbs.confined.wall import refused
from khive_supervisor.verbs.kept import Profiles, Served, SessionProject

#: What a confined session may ask of the supervisor.
CONFINED_OPERATIONS = frozenset({"status", "index.damaged"})

Progress = Callable[[int, int, str], None]
#: Something for the supervisor to act on soon; fire and forget.
Hint = Callable[[Mapping[str, object]], None]


def _silent(done: int, total: int, text: str) -> None:
    """Do nothing: nobody wants to know."""


def _unheard(hint: Mapping[str, object]) -> None:
    """Do nothing: there is no supervisor."""


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """Who is being served.

    Attributes:
        project: the project that the session's memories are about; None: the user as a whole.
        kind: how it is served: "attach" (a client over MCP), "verbs" (a command), "task".
        role: the role whose task it is a part of; empty otherwise.
        project_name: the project that a client names which is in no directory here.
        process: the client's process, "pid:start", as the kernel tells; empty where it does not.
    """

    id: str = ""
    cwd: str = "/"
    namespace: str | None = None
    actor: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    project: ProjectIdentity | None = None
    kind: str = "attach"
    role: str = ""
    project_name: str = ""
    process: str = ""

    def __post_init__(self) -> None:
        """Make text of what an environment says; a directory stays what the system calls it."""
        object.__setattr__(self, "actor", wellformed.text(self.actor))
        if self.namespace is not None:
            object.__setattr__(self, "namespace", wellformed.text(self.namespace))


class Calls(Protocol):
    """The verbs, as one of them calls others: the registry that it was called through."""

    def checked_for_batch(self, name: str, grant: Grant) -> str:
        """Return the name of a verb that can be one of a batch; raises KhiveError."""
        ...

    def call(self, context: Context, name: str, arguments: Any) -> Mapping[str, object]:
        """Run a verb; raises KhiveError."""
        ...


class Context:
    """One worker's store, search and session; opened at first use, after the fork."""

    def __init__(
        self,
        config: Config,
        session: SessionInfo,
        *,
        socket_path: str | None,
        make_embedder: Callable[[], Embedder | None],
        grant: Grant = AGENT,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.config = config
        self.session = session
        #: What whoever asks may do; whoever builds a context for somebody else says so here.
        self.grant = grant
        self.now = wall_clock
        self.progress: Progress = _silent
        #: Lets the supervisor know of something at once that it would find out by itself a little
        #: later; set by whoever has a link to it.
        self.hint: Hint = _unheard
        #: Waits for so many seconds; raises what ends the call once nobody waits for its answer.
        self.pause: Callable[[float], None] = time.sleep
        #: The kinds of consumers of the registry that the running verb was called through.
        self.consumer_kinds: tuple[str, ...] = ()
        #: The registry that the running verb was called through.
        self.registry: Calls
        #: The running verb is one of a batch: it holds the store, and leaves searches for later.
        self.in_batch = False
        #: What every text passes that is to be kept; the store has one of its own behind it.
        self.gate = TextGate(config.secrets.mode)
        self._socket_path = socket_path
        self._make_embedder = make_embedder
        self._store: Store | None = None
        self._versions: Versions | None = None
        self._search: SearchEngine | None = None
        self._profiles: Profiles | None = None
        self._project: SessionProject | None = None
        #: The client's name and version, once it has said them.
        self.client: tuple[str, str] = ("", "")
        #: What the session was served; see `usage`.
        self.served = Served()
        self._embedder: Embedder | None = None
        self._embedder_made = False

    @property
    def store(self) -> Store:
        """Return the store as whoever asks has it; see `confined`."""
        if not self.grant.confined:
            return self.whole_store
        return confined_store(self.whole_store, self.grant, self._serving)

    def _serving(self) -> set[str]:
        """Return the profiles that serve this session."""
        actor, namespace = self.session.actor, self.default_namespace
        return {self.profiles.serving(actor, namespace, kind) for kind in self.consumer_kinds}

    @property
    def whole_store(self) -> Store:
        """Return the store, through a connection of this process.

        For what filters by itself and shows nothing of it, as the search does; verbs use `store`.
        """
        if self._store is None:
            self._store = open_store(
                self.config,
                guarded=self._socket_path is None,
                actor=lambda: actors.session(self.session.id, self.session.actor),
            )
        return self._store

    def use(self, store: Store) -> None:
        """Work with a store that is open already, and that others work with, too."""
        self._store = store

    def catch_up(self) -> None:
        """Wait for what other nodes of a team have written, if this session reads the newest.

        Raises:
            StoreUnavailable: the server cannot be asked now.
        """
        if self.config.store.url and self.config.store.reads == "newest":
            self.whole_store.catch_up()

    @property
    def owners(self) -> tuple[str, ...]:
        """The names under which tasks are this session's own; what it assigns has the first."""
        own = (self.session.id,) if self.session.id else ()
        return self.grant.owners + own

    @property
    def opened(self) -> bool:
        """Return True if the store has been opened; asking does not open it."""
        return self._store is not None

    @property
    def versions(self) -> Versions:
        """Return the look at the store that everything kept of it shares; see `freshness`."""
        if self._versions is None:
            self._versions = Versions(self.whole_store)
        return self._versions

    def refresh(self, kinds: Collection[str]) -> None:
        """Bring up to date what is kept of these kinds, so that the next call need not.

        Opens nothing, and loads nothing that was not loaded before: each use checks by itself.
        """
        if self._store is None:
            return
        self.versions.refresh(kinds)
        if self._search is not None and GENERATIONS in kinds:
            self._search.refresh()

    @property
    def embedder(self) -> Embedder | None:
        """Return the embedder, or None when the configuration has none."""
        if not self._embedder_made:
            self._embedder = self._make_embedder()
            self._embedder_made = True
        return self._embedder

    @property
    def search(self) -> SearchEngine:
        """Return the hybrid search over the store."""
        if self._search is None:
            self._search = SearchEngine(
                self.whole_store,
                self.embedder,
                self.config,
                report_damage=self._report_damage,
                versions=self.versions,
            )
        return self._search

    @contextmanager
    def within_batch(self, embedder: Embedder | None, hint: Hint) -> Iterator[None]:
        """Have verbs ask another embedder within, and give hints to somebody who keeps them."""
        before = self.hint, self._embedder, self._embedder_made
        self.hint, self._embedder, self._embedder_made = hint, embedder, True
        self.in_batch = True
        try:
            yield
        finally:
            self.hint, self._embedder, self._embedder_made = before
            self.in_batch = False

    def suspect_embedder(self) -> None:
        """The supervisor sees that the embedder hangs: nobody is to wait for it."""
        if isinstance(self._embedder, EmbedderClient):
            self._embedder.suspect()

    @property
    def profiles(self) -> Profiles:
        """Return the profiles that rank, and who is served by which."""
        if self._profiles is None:
            self._profiles = Profiles(self.whole_store, self.versions)
        return self._profiles

    @property
    def project(self) -> ProjectFamily | None:
        """Return the session's project as it is stored; None: it has none, or nothing is in it.

        Raises:
            NotFound: the client names a project that there is not, or not for it.
        """
        if self.session.project_name:
            return self._named_project(self.session.project_name)
        return self._session_project.family(self.session.project)

    def _named_project(self, name: str) -> ProjectFamily:
        found = self.whole_store.projects.named(name)
        if self.grant.confined:
            counts = self.store.projects.counts(EVERYTHING)
            found = [one for one in found if any(counts.get(number) for number in one.ids)]
        if len(found) != 1:
            raise NotFound(
                f"There is no one project called {name[:100]!r}.",
                hint="projects.list names all; the user can rename those with one name.",
            )
        return found[0]

    def store_project(self) -> int | None:
        """Return the number of the session's project, stored if it is new; None without one.

        Like the search, this is told apart from what a confined session may read: nothing of it
        is shown.
        """
        identity = self.session.project
        if identity is None:
            named = self.project if self.session.project_name else None
            return named.ids[0] if named is not None else None
        known = self.project is not None
        number = self._session_project.ensure(identity)
        if not known:
            self.hint({"hint": "projects"})
        return number

    @property
    def _session_project(self) -> SessionProject:
        if self._project is None:
            self._project = SessionProject(self.whole_store, self.versions)
        return self._project

    @property
    def default_namespace(self) -> str:
        """Return the namespace of a call that names none; a confined session has no choice."""
        if self.grant.namespaces is not None:
            return next(iter(self.grant.namespaces), "")
        return self.session.namespace or self.grant.home or self.config.session.namespace

    def _outside(self, name: str) -> Denied:
        """The error of a namespace that this session does not have, be there one or not."""
        there = ", ".join(self.grant.namespaces or ())
        if not there:
            return Denied(
                "This session is confined to two namespaces that exclude each other, so it reaches "
                "none.",
                hint="Its directory, project directory and the agent that started it are confined "
                "to different ones; `khive-supervisor doctor` says by which [[confine]] tables.",
            )
        return Denied(
            f"The namespace {name[:80]!r} is not allowed here.",
            hint=f"This session is confined to {there}.",
        )

    def namespace(self, asked: str | None) -> str:
        """The namespace of a call: what it names, else the session's, else the configuration's.

        Raises:
            Denied: the configuration does not allow it, or the session is confined to another.
        """
        name = asked or self.default_namespace
        if not self.grant.admits(name):
            raise self._outside(name)
        if not namespace_allowed(self.config, name):
            patterns = self.config.session.allowed_namespaces
            raise Denied(
                f"The namespace {name!r} is not allowed here.",
                hint=f"session.allowed_namespaces allows: {', '.join(patterns)}.",
            )
        return name

    def ask_supervisor(self, operation: str, args: JsonObject | None = None) -> JsonObject:
        """Ask the supervisor itself.

        Raises:
            NotRunning: this session is served without one.
            Unresponsive: it is there and does not answer.
            Denied: the session is confined, and the answer would be about more than its own.
        """
        if self.grant.confined and operation not in CONFINED_OPERATIONS:
            raise refused(f"The supervisor's {operation}")
        if self._socket_path is None:
            raise NotRunning(
                "This session is served by a process of its own, without a supervisor.",
                hint="Unset KHIVE_NO_DAEMON to attach to one.",
            )
        with client.ControlClient(self._socket_path) as control:
            answer = control.request(operation, args)
        return self._seen(answer) if operation == "status" else answer

    def _seen(self, status: JsonObject) -> JsonObject:
        """Return what of the supervisor's status is for whoever asks: no sessions of others."""
        return seen.status_for(status, self.grant, (self.session.id,), seen.OF_SESSION)

    def counts(self) -> dict[str, int]:
        """Return what was counted since the store was opened; for any thread, and opens nothing."""
        found: dict[str, int] = {}
        if self._versions is not None:
            stats = self._versions.stats
            found |= {"checks": stats.checks, "moved": stats.moved, "reloads": stats.reloads}
        if self._search is not None:
            counts = self._search.counts
            found |= {
                "searches": counts.searches,
                "meaning": counts.vector,
                "partial": counts.partial,
                "skipped": counts.skipped,
            }
        return found

    def _report_damage(self, error: KhiveError) -> None:
        """Tell the supervisor that a generation cannot be used, so that it is rebuilt."""
        try:
            self.ask_supervisor("index.damaged", {"error": str(error)})
        except KhiveError:
            return  # it checks by itself at its next look

    def close(self) -> None:
        """Close what is open; idempotent."""
        if self._search is not None:
            self._search.close()
            self._search = None
        self._profiles = None
        self._project = None
        if self._store is not None:
            self._store.close()
            self._store = None
            self._versions = None
