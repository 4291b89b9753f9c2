"""Who does a task, by what its claim says: the role's handler, a candidate, or the fallback.

A claim names it, so that each one goes by the configuration, the budget and what is available when
it is made. A candidate that cannot begin has another one take its place within the same attempt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from khive_supervisor import logs
from khive_supervisor.budgets.usage import plus
from khive_supervisor.config.settings.roles import Role
from khive_supervisor.errors import BootFailure, KhiveError
from khive_supervisor.history import telling
from khive_supervisor.history.told import TriedTask, told
from khive_supervisor.routing.model import (
    NO_KEY,
    NO_PROGRAM,
    RouteAnswer,
    Unavailable,
)
from khive_supervisor.tasks.model import Claim, Outcome, Usage
from khive_supervisor.text.plain_json import JsonObject
from khive_workers.role.context import Memory
from khive_workers.role.handlers import AroundHandler, TaskHandler, Why, failure

log = logs.get("khive.role")

#: Asks the store for another candidate: the claim, and why the one that has it cannot do it.
AskAnother = Callable[[Claim, Unavailable], RouteAnswer | None]


class WithFallback(AroundHandler):
    """The role's handler, and beside it a command for the tasks whose claims name one."""

    def __init__(
        self, handler: TaskHandler, make: Callable[[tuple[str, ...]], TaskHandler]
    ) -> None:
        super().__init__(handler)
        self._own = handler
        self._make = make
        self._command: tuple[tuple[str, ...], TaskHandler] | None = None
        self._refused: Outcome | None = None

    def check(self) -> None:
        """Raise BootFailure if the role's own handler can do nothing; a fallback may be missing."""
        self._own.check()

    def begin(self, claim: Claim) -> None:
        """Start with a task, in the handler of the command that its claim names, if any."""
        self._inner = self._own
        if claim.fallback:
            try:
                self._inner = self._fallback(claim.fallback)
            except (KhiveError, OSError) as error:
                self._refused = failure(f"The role's budget.fallback failed: {error}")
                return
        self._inner.begin(claim)

    def _fallback(self, command: tuple[str, ...]) -> TaskHandler:
        """Return the handler of a command: the one before, unless the configuration has changed."""
        if self._command is None or self._command[0] != command:
            self._close_fallback()
            made = self._make(command)
            self._command = (command, made)
        found = self._command[1]
        found.check()  # each time: it is no reason to start anew that it was not there once
        return found

    def _close_fallback(self) -> None:
        if self._command is not None:
            self._command[1].close()
            self._command = None

    def outcome(self) -> Outcome | None:
        """Return what came of it, once; a failure if the command could not be started."""
        if self._refused is not None:
            refused, self._refused = self._refused, None
            return refused
        return self._inner.outcome()

    def close(self) -> None:
        """Close both handlers."""
        self._close_fallback()
        self._own.close()


class CandidateHandler(AroundHandler):
    """The handlers of a role's candidates; each task goes to the one that its claim names."""

    def __init__(
        self, role: Role, make: Callable[[Role], TaskHandler], environment: Mapping[str, str]
    ) -> None:
        self._roles = {one.name: role.by(one) for one in role.candidates}
        self._handlers = {name: make(one) for name, one in self._roles.items()}
        self._environment = environment
        self._refused: Outcome | None = None
        super().__init__(next(iter(self._handlers.values())))

    def check(self) -> None:
        """Raise BootFailure if there is no candidate that could work."""
        problems: list[BootFailure] = []
        for handler in self._handlers.values():
            try:
                handler.check()
            except BootFailure as error:
                problems.append(error)
        if len(problems) == len(self._handlers):
            raise problems[0]

    def begin(self, claim: Claim) -> None:
        """Start with a task, in its candidate's handler; the outcome says it if that cannot be."""
        self._refused = self._lacking(claim.candidate)
        if self._refused is None:
            self._inner = self._handlers[claim.candidate]
            self._inner.begin(claim)

    def _lacking(self, name: str) -> Outcome | None:
        """Return the failure of a candidate that lacks its key or its program."""
        if name not in self._handlers:  # a claim by another configuration than this one
            return _unavailable(f"There is no candidate {name}.", NO_PROGRAM)
        missing = [one for one in self._roles[name].env_require if one not in self._environment]
        if missing:
            return _unavailable(
                f"The candidate {name} requires {', '.join(missing)} in the environment.", NO_KEY
            )
        try:
            self._handlers[name].check()  # each time: it may have come, or gone, since
        except BootFailure as error:
            return _unavailable(f"The candidate {name} cannot work: {error}", NO_PROGRAM)
        return None

    def outcome(self) -> Outcome | None:
        """Return what came of it, once."""
        if self._refused is not None:
            refused, self._refused = self._refused, None
            return refused
        return self._inner.outcome()

    def close(self) -> None:
        """Close all handlers."""
        for handler in self._handlers.values():
            handler.close()


def _unavailable(error: str, fault: str) -> Outcome:
    return replace(failure(error), unavailable=Unavailable(fault))


class FailoverHandler(AroundHandler):
    """Gives a task to another candidate when the one that has it could not do it.

    That is within the attempt only while nothing was changed: the candidate says that it did not
    begin, or the task has a directory of its own (`alone`) and that is empty or clean.
    """

    def __init__(self, inner: TaskHandler, ask: AskAnother, *, alone: bool) -> None:
        super().__init__(inner)
        self._ask = ask
        self._alone = alone
        self._claim: Claim | None = None
        self._stopped = False
        self._used: Usage | None = None

    def begin(self, claim: Claim) -> None:
        """Start with a task."""
        self._claim, self._stopped, self._used = claim, False, None
        self._inner.begin(claim)

    def stop(self, why: Why) -> None:
        """Ask it to stop; nobody takes its place then."""
        self._stopped = True
        self._inner.stop(why)

    def outcome(self) -> Outcome | None:
        """Return what came of it, once, whoever has done it in the end."""
        found = self._inner.outcome()
        if found is None or self._claim is None:
            return found
        found = replace(found, usage=_sum(self._used, found.usage))
        if found.unavailable is None or self._stopped or not self._claim.candidate:
            return found
        changed = found.unavailable.begun and not (self._alone and found.place is None)
        why = replace(found.unavailable, begun=changed)
        found = replace(found, unavailable=why, final=False)
        route = None if changed else self._another(self._claim, why)
        if route is None:
            return found
        log.info("role.failed_over", task=self._claim.id, fault=why.kind, to=route["candidate"])
        self._used = found.usage
        self._claim = replace(self._claim, candidate=route["candidate"])
        self._inner.begin(self._claim)
        return None

    def _another(self, claim: Claim, why: Unavailable) -> RouteAnswer | None:
        try:
            return self._ask(claim, why)
        except KhiveError as error:
            log.warning("role.not_failed_over", task=claim.id, error=str(error))
            return None


def _sum(one: Usage | None, other: Usage | None) -> Usage | None:
    return plus(one, other) if one is not None and other is not None else one or other


#: Characters of a prompt that the history is asked with.
_ASKED_WITH = 4_000


class WithHistory(AroundHandler):
    """Begins each task with what the history says of tasks like it.

    What cannot be found out is left out: a task is never refused for it.
    """

    def __init__(self, inner: TaskHandler, role: Role, memory: Memory) -> None:
        super().__init__(inner)
        self._role = role
        self._memory = memory

    def begin(self, claim: Claim) -> None:
        """Look what was tried, and begin with that."""
        self._inner.begin(replace(claim, history=self._told(claim)))

    def _told(self, claim: Claim) -> str:
        query = telling.prompt_in(claim.payload)[:_ASKED_WITH]
        if not query.strip():
            return ""
        asked = {"query": query, "limit": self._role.history}
        try:
            found = self._memory.call(claim, "history.similar", asked)["results"]
            tried = [self._tried(claim, one) for one in found]
        except KhiveError as error:
            log.warning("role.no_history", task=claim.id, error=str(error))
            return ""
        return told(tried, self._role.history_tokens)

    def _tried(self, claim: Claim, one: JsonObject) -> TriedTask:
        return TriedTask(
            one["outcome"],
            one["role"],
            one["prompt"],
            one.get("error") or one.get("answer", ""),
            tuple(one.get("files", ())),
            same=one.get("task") == f"t{claim.id}",
        )
