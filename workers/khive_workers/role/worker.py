"""A role worker: does one role's tasks, one at a time, until its queue ends.

Forked by the zygote or started by exec. The queue is one end of a socket pair to the supervisor;
tasks themselves are rows of the store. An idle worker holds a connection to the store and a
descriptor, and has loaded nothing that its first task would need.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import selectors
import signal
import socket
import sys
import traceback
from collections.abc import Callable

from khive_supervisor import exitcodes, logs
from khive_supervisor.access import decide
from khive_supervisor.audit import actors
from khive_supervisor.budgets.pricing import PriceList
from khive_supervisor.config.load import from_dict
from khive_supervisor.config.settings.model import Config
from khive_supervisor.config.settings.roles import Role, offers
from khive_supervisor.control import protocol
from khive_supervisor.control.requests import RoleRequest
from khive_supervisor.errors import BootFailure, KhiveError
from khive_supervisor.host import paths, processes
from khive_supervisor.packs import loading
from khive_supervisor.routing.model import RouteAnswer, Unavailable
from khive_supervisor.sqlite.opening import open_store
from khive_supervisor.store.tasks import TaskStore
from khive_supervisor.tasks.model import Claim, Claimant
from khive_supervisor.verbs.registry import Registry
from khive_workers.common import runtime
from khive_workers.role.candidates import (
    CandidateHandler,
    FailoverHandler,
    WithFallback,
    WithHistory,
)
from khive_workers.role.context import Memory, TaskContext
from khive_workers.role.handlers import PythonHandler, TaskHandler, described
from khive_workers.role.leftovers import WithoutLeftovers
from khive_workers.role.loop import RoleLoop, Waker
from khive_workers.role.output import PrintedText

log = logs.get("khive.role")

#: Seconds after a role's warm_timeout at which a worker that is not ready ends by SIGALRM.
LATE_GRACE = 2.0


def serve(
    request: RoleRequest, fds: list[int], make_registry: Callable[[], Registry] = loading.load
) -> int:
    """Serve the role of a request until its queue ends; the exit code. Owns the descriptors.

    The configuration comes with the request: the zygote's own may be older.
    """
    with socket.socket(fileno=fds[0]) as queue:
        _introduce(request, queue)
        try:
            return _serve(request, queue, make_registry)
        except KhiveError as error:
            return _refuse(queue, error)
        except Exception as error:  # noqa: BLE001 - the one who waits for this must hear it
            log.error("role.crashed", error="".join(traceback.format_exception(error))[-4000:])
            return _refuse(queue, KhiveError(f"The worker failed: {described(error)}"))


def _introduce(request: RoleRequest, queue: socket.socket) -> None:
    """Say who this is, and give the supervisor the end of this process's log."""
    runtime.name_process(f"khive-{request['role']}")
    receiving = logs.send_to_supervisor(request["log_level"], f"role:{request['worker']}")
    with receiving:
        frame = protocol.encode({"pid": os.getpid()})
        try:
            socket.send_fds(queue, [frame], [receiving.fileno()])
        except OSError:
            return  # the supervisor is gone; the queue's end will say so


def _refuse(queue: socket.socket, error: KhiveError) -> int:
    try:
        queue.send(protocol.encode({"failed": str(error)}))
    except OSError:
        log.error("role.failed", error=str(error))
    return error.exit_code if isinstance(error, BootFailure) else exitcodes.FAILURE


def _serve(
    request: RoleRequest, queue: socket.socket, make_registry: Callable[[], Registry]
) -> int:
    config = from_dict(json.loads(request["config"]), source="the role's request")
    role = config.role(request["role"])
    assert role is not None
    os.environ.update(request["env"])
    os.environ[processes.MARK] = request["worker"]
    processes.become_subreaper()
    printed = PrintedText()
    printed.print_to_log()
    cwd = _enter(role)
    selector = selectors.DefaultSelector()
    memory = Memory(config, paths.env("KHIVE_SOCKET"), make_registry)
    # With the process, so that the next supervisor sees who of them has died with this one.
    name = f"{request['worker']}:{os.getpid()}"
    claimant = Claimant(
        role.role,
        name,
        request["generation"],
        request["digest"],
        candidates=offers(role),
        givers=role.tasks_from,
    )
    notes = ClaimNotes(claimant, PriceList(config.prices), printed)
    handler = _make_handler(config, role, cwd, memory, selector, notes, make_registry)
    # It ends itself, too: the one who would kill it may be gone, and this hears of nothing here.
    signal.setitimer(signal.ITIMER_REAL, role.warm_timeout + LATE_GRACE)
    handler.check()
    signal.setitimer(signal.ITIMER_REAL, 0)
    store = open_store(config, guarded=False, actor=lambda: actors.worker(name))
    notes.tasks = store.tasks
    loop = RoleLoop(
        store.tasks, handler, claimant, queue, selector, timeout=role.timeout, prices=notes.prices
    )
    try:
        return loop.run()
    finally:
        handler.close()
        store.close()


def _enter(role: Role) -> str:
    cwd = role.cwd or paths.home()
    try:
        os.chdir(cwd)
    except OSError as error:
        raise BootFailure(
            f"The role {role.role} cannot work in {cwd}: {error.strerror}.",
            hint="Make the directory, or set the role's cwd to one that exists.",
        ) from error
    return cwd


class ClaimNotes:
    """What handlers say of their claims to the store, which is opened after they are made.

    Attributes:
        tasks: the store of tasks.
        prices: what tokens cost that they say.
        printed: what a function prints.
    """

    tasks: TaskStore

    def __init__(self, claimant: Claimant, prices: PriceList, printed: PrintedText) -> None:
        self._claimant = claimant
        self.prices = prices
        self.printed = printed

    def note(self, claim: Claim, session: str, counted: int) -> None:
        """Store an agent's session, and what it had counted, with the claim."""
        self.tasks.note_session(claim.id, claim.token, session, counted)

    def another(self, claim: Claim, why: Unavailable) -> RouteAnswer | None:
        """Return the candidate that takes the place of one that cannot do its task, if any."""
        return self.tasks.fail_over(claim.id, claim.token, self._claimant, why, self.tasks.now())


def _make_handler(
    config: Config,
    role: Role,
    cwd: str,
    memory: Memory,
    selector: selectors.BaseSelector,
    notes: ClaimNotes,
    make_registry: Callable[[], Registry],
) -> TaskHandler:
    waker = Waker(selector)

    def variables(claim: Claim) -> dict[str, str]:
        return decide.variables_of_task(config, claim.namespace, claim.cwd)

    def command(argv: tuple[str, ...]) -> TaskHandler:
        # Here, since a worker that calls functions has no use for it.
        from khive_workers.role.command import CommandHandler

        _wake_at_child_exit(waker)
        made = CommandHandler(
            argv, cwd=cwd, memory=role.memory, environment=os.environ, selector=selector,
            variables=variables, prices=notes.prices,
        )  # fmt: skip
        made.adopts = True
        return made

    def make(one: Role) -> TaskHandler:
        return _worker_of(one, cwd, memory, selector, waker, notes, command, variables)

    handler = CandidateHandler(role, make, os.environ) if role.candidates else make(role)
    alone: TaskHandler = WithoutLeftovers(WithFallback(handler, command))
    if role.history:
        # With a connection of its own: the other one is the handler's thread's.
        own = Memory(config, paths.env("KHIVE_SOCKET"), make_registry)
        alone = WithHistory(alone, role, own)
    placed = _placed(config, role, alone, waker)
    if not role.candidates:
        return placed
    return FailoverHandler(placed, notes.another, alone=role.workdir in ("fresh", "worktree"))


def _placed(config: Config, role: Role, handler: TaskHandler, waker: Waker) -> TaskHandler:
    """Return a handler whose tasks are done where the role says."""
    if role.workdir == "role":
        return handler
    from khive_supervisor.worktrees import metadata
    from khive_workers.role.place import PlaceHandler

    top = metadata.root(config.store.path)
    return PlaceHandler(handler, role.workdir, role.vcs, top, os.environ, waker)


def _wake_at_child_exit(waker: Waker) -> None:
    """Have the loop wake when a child ends."""
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waker.fd, warn_on_full_buffer=False)


def _worker_of(
    role: Role,
    cwd: str,
    memory: Memory,
    selector: selectors.BaseSelector,
    waker: Waker,
    notes: ClaimNotes,
    command: Callable[[tuple[str, ...]], TaskHandler],
    variables: Callable[[Claim], dict[str, str]],
) -> TaskHandler:
    """Return what does the work, wherever that is."""
    if role.handler.command:
        return command(role.handler.command)
    if role.handler.agent:
        from khive_workers.role.agent import AgentHandler

        _wake_at_child_exit(waker)
        agent = AgentHandler(
            role, cwd=cwd, environment=os.environ, selector=selector, note=notes.note,
            variables=variables, prices=notes.prices,
        )  # fmt: skip
        agent.adopts = True
        return agent
    if role.cwd:
        sys.path.insert(0, cwd)
    if role.memory:
        _limit_data(role.memory)

    def context(claim: Claim) -> TaskContext:
        return TaskContext(claim, memory, waker, notes.prices)

    return PythonHandler(role.handler.python, context, waker, notes.printed)


def _limit_data(most: int) -> None:
    """Let this process take so much more than it has now: a fork begins with what is shared."""
    try:
        with open("/proc/self/statm", encoding="ascii") as statm:
            begins_with = int(statm.read().split()[5]) * resource.getpagesize()
    except OSError:
        begins_with = 0  # not Linux: there, workers are never forked
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = most + begins_with
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


def main(argv: list[str]) -> int:
    """`python -P -m khive_workers.role --fds N`, with the request on stdin."""
    parser = argparse.ArgumentParser(prog="khive role")
    parser.add_argument("--fds", required=True, help="the queue's descriptor")
    options = parser.parse_args(argv)
    runtime.reset_signals()
    request = json.load(sys.stdin)
    return serve(request, [int(n) for n in options.fds.split(",")])
