"""What the routes ask: the supervisor over its socket, and the verbs in threads of this process.

Threads with a store of their own do the work, so that the loop notices clients all the while: one
for the routes, and a few for MCP, so that a long call there does not make `/readyz` wait.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from khive_supervisor.access.grant import AGENT, OPERATOR, Grant, confined_to
from khive_supervisor.config.settings.model import Config
from khive_supervisor.control.client import ControlClient
from khive_supervisor.errors import KhiveError, StoreUnavailable
from khive_supervisor.text.plain_json import JsonObject
from khive_supervisor.verbs.context import Context, SessionInfo
from khive_supervisor.verbs.kept import Served
from khive_supervisor.verbs.registry import Answer, Registry
from khive_workers.common.link import Link, make_context
from khive_workers.common.verb_thread import Result, VerbThread, run_apart

#: Threads that run MCP's verbs.
LANES = 2
#: Requests to the supervisor that may wait at once; each has a thread meanwhile.
WAITING_LIMIT = 16
#: Clients whose served entries are remembered.
REMEMBERED = 1024

ROUTES = SessionInfo(actor="http")


def confined_client(namespace: str) -> Grant:
    """Return what whoever has a namespace's token may do; they share their tasks."""
    return replace(confined_to(namespace), owners=(f"http-{namespace}",))


@dataclass(slots=True)
class Lane:
    """One thread, and the context that only it uses."""

    context: Context
    thread: VerbThread = field(default_factory=VerbThread)
    waiting: int = 0

    async def run(self, work: Callable[[Context], Result]) -> Result:
        """Run something with the context, after what waits already."""
        self.waiting += 1
        try:
            return await self.thread.run(lambda: work(self.context))
        finally:
            self.waiting -= 1


class Service:
    """The supervisor and the verbs; used only from the worker's loop."""

    def __init__(self, config: Config, registry: Registry, link: Link, path: str) -> None:
        self.config = config
        self.registry = registry
        self._link = link
        self._path = path
        self._asking = 0
        self._served: OrderedDict[str, Served] = OrderedDict()
        self.routes = Lane(self.context(ROUTES, OPERATOR))
        self.lanes = [Lane(self.context(SessionInfo(), AGENT)) for _ in range(LANES)]

    def context(self, who: SessionInfo, grant: Grant) -> Context:
        """Return a context of its own for somebody; nothing is opened yet."""
        context = make_context(self.config, {"kind": "http"}, self._path)
        context.session, context.grant, context.hint = who, grant, self._link.hint
        return context

    async def ask(self, operation: str, args: JsonObject | None = None) -> JsonObject:
        """Ask the supervisor itself; raises what it answers, or NotRunning."""
        if self._asking >= WAITING_LIMIT:
            raise StoreUnavailable(
                f"{WAITING_LIMIT} requests wait for the supervisor already.",
                hint="Wait for a reload or drain that is at work to end.",
            )

        def work() -> JsonObject:
            with ControlClient(self._path) as control:
                return control.request(operation, args)

        self._asking += 1
        try:
            return await run_apart(work)
        finally:
            self._asking -= 1

    async def verb(self, name: str, args: JsonObject, namespace: str | None = None) -> Answer:
        """Run a verb for a route, as an operator or as who is confined; raises KhiveError."""
        grant = OPERATOR if namespace is None else confined_client(namespace)

        def work(context: Context) -> Answer:
            context.grant = grant
            return self.registry.call(context, name, args)

        return await self.routes.run(work)

    def lane(self) -> Lane:
        """Return the lane with the least to do."""
        return min(self.lanes, key=lambda lane: lane.waiting)

    def served(self, session: str) -> Served:
        """Return what a session was served; a client without one is new each time."""
        if not session:
            return Served()
        found = self._served.setdefault(session, Served())
        self._served.move_to_end(session)
        while len(self._served) > REMEMBERED:
            self._served.popitem(last=False)
        return found

    def counts(self) -> dict[str, int]:
        """Return what all contexts have counted."""
        total: dict[str, int] = {}
        for lane in (self.routes, *self.lanes):
            for name, number in lane.context.counts().items():
                total[name] = total.get(name, 0) + number
        return total

    async def ready(self) -> list[str]:
        """Return what is not ready: the supervisor, the store; nothing when all is well."""
        missing = []
        try:
            await self.ask("ping")
        except (KhiveError, OSError) as error:
            missing.append(f"supervisor: {error}")
        try:
            await self.routes.run(lambda context: {"highest": context.store.entries.highest_id()})
        except KhiveError as error:
            missing.append(f"store: {error}")
        return missing
