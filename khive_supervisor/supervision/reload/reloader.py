"""Reloading the configuration: read, check and compare first; then change what differs.

Until a file has been found to be valid nothing is touched, and an invalid one is answered with
everything that is wrong with it. One reload is at work at a time. Requests that come meanwhile
wait, and the next reload answers them all: it reads the file as it is then. What happens to roles
afterwards comes as an event, and takes a definition that failed out of force.
"""

from __future__ import annotations

import asyncio
import os
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypedDict

from khive_supervisor import logs
from khive_supervisor.audit import actors
from khive_supervisor.audit.chain import TEXT_LIMIT
from khive_supervisor.config import snapshot
from khive_supervisor.config.changes import ConfigDiff, diff, digest_of, in_force, keep_roles
from khive_supervisor.config.handlers import check_handlers
from khive_supervisor.config.load import load
from khive_supervisor.config.settings.model import Config
from khive_supervisor.control import measured
from khive_supervisor.errors import ConfigError
from khive_supervisor.supervision.maintenance.audit_events import AuditEvents
from khive_supervisor.supervision.reload.result import (
    APPLYING,
    RESTING,
    Record,
    ReloadPhase,
    Result,
    audit_entry,
)
from khive_supervisor.supervision.roles.environment import merged
from khive_supervisor.supervision.roles.events import (
    UNDONE,
    Applied,
    RoleEvent,
    RoleOutcome,
    RolledBack,
)
from khive_supervisor.supervision.roles.manager import Roles

log = logs.get("khive.reload")


class Configurable(Protocol):
    """Something that goes by the configuration."""

    def configure(self, config: Config) -> None:
        """Go by another configuration from now on; what raises must have changed nothing."""


class ServiceManager(Protocol):
    """What is told of the start and the end of each reload."""

    def reloading(self) -> None:
        """A reload begins; `ready` must follow."""

    def ready(self, status: str = "") -> None:
        """It is over; `status` is one line for people."""


@dataclass(frozen=True, slots=True)
class Request:
    """Somebody who wants a reload, and the plan that it must be, if not any."""

    by: str
    plan: str
    answer: asyncio.Future[Result]
    actor: str


class ReloadStatus(TypedDict):
    """What `status` shows of reloads."""

    phase: str
    generation: int
    last_reload: Record | None


@dataclass(slots=True, eq=False)
class Reloader:
    """Serves requests for reloads; used only from the supervisor's loop.

    Attributes:
        file: the configuration's; None: the defaults.
        config: the configuration in force.
        parts: they go by it; what can fail comes first.
        last: how the last reload ended.
        phase: of the reload at work, or the end of the last one.
        generation: of the configuration in force; 1 is the one of the start.
        outcomes: how many ended how; roles that went back by themselves count as rolled back later.
    """

    file: str | None
    config: Config
    parts: Sequence[Configurable]
    roles: Roles
    audit: AuditEvents
    notifier: ServiceManager
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    clock: Callable[[], float] = time.monotonic
    last: Result | None = None
    phase: ReloadPhase = ReloadPhase.IDLE
    generation: int = 1
    outcomes: Counter[str] = field(default_factory=Counter)
    _requests: list[Request] = field(default_factory=list)
    _asked: asyncio.Event = field(default_factory=asyncio.Event)
    _reverts: list[RolledBack] = field(default_factory=list)
    _plan: ConfigDiff | None = None
    _timings: dict[str, float] = field(default_factory=dict)
    _since: float = 0.0

    # --- asking -------------------------------------------------------------------------------

    def ask(self, by: str, plan: str = "", actor: str = "") -> asyncio.Future[Result]:
        """Ask for a reload, now or after the one at work; one before `run` is kept for it.

        Args:
            by: who asks, for the log.
            plan: the digest that a dry run gave; another plan is then not carried out.
            actor: who asks, for the audit chain; `by` if empty.
        """
        answer = asyncio.get_running_loop().create_future()
        self._requests.append(Request(by, plan, answer, actor or by))
        self._asked.set()
        return answer

    async def until_quiet(self, patience: float) -> None:
        """Wait until no reload is at work, or `patience` (seconds) ends."""
        try:
            async with asyncio.timeout(patience):
                while self._requests:
                    await asyncio.wait([request.answer for request in self._requests])
        except TimeoutError:
            log.warning("reload.at_work", seconds=patience)

    async def rehearse(self) -> dict[str, Any]:
        """Return what a reload would do now; nothing is changed."""
        try:
            _, plan = await self._read()
        except ConfigError as error:
            return {"valid": False, "errors": list(error.problems), "empty": True}
        return {"valid": True, "errors": [], **plan.as_dict(), "text": plan.describe()}

    def describe(self) -> ReloadStatus:
        """Return what `status` shows."""
        return {
            "phase": self.phase,
            "generation": self.generation,
            "last_reload": self.last.as_dict() if self.last else None,
        }

    # --- working ------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve requests, and take in what happens to roles, until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._serve_requests())
                group.create_task(self._follow_roles())
        finally:
            for request in self._requests:
                request.answer.cancel()

    async def _serve_requests(self) -> None:
        while True:
            await self._asked.wait()
            self._asked.clear()
            while self._requests:
                await self._serve(list(self._requests))

    async def _serve(self, requests: list[Request]) -> None:
        """Reload once; the newest of some requests counts, and the others are answered by it."""
        self.phase = ReloadPhase.PARSING
        self._plan, self._timings, self._since = None, {}, self.clock()
        newest = requests[-1]
        log.info("reload.started", by=newest.by)
        self.notifier.reloading()
        try:
            result = await self._reload(newest)
        except Exception as error:  # noqa: BLE001 - the next reload must be possible
            log.error("reload.broken", trace=traceback.format_exc())
            result = self._broken(newest, [f"{type(error).__name__}: {error}"])
        del self._requests[: len(requests)]
        kind, detail = audit_entry(result, self._plan, digest_of(self.config))
        self.audit.note(kind, actors.CONFIGURATION, detail, actor=newest.actor)
        self._finish(result, requests)
        self._revert()

    async def _reload(self, request: Request) -> Result:
        old, previous = self.config, self.generation
        try:
            new, plan = await self._read()
        except ConfigError as error:
            return self._broken(request, error.problems)
        self._plan = plan
        if request.plan and request.plan != plan.digest:
            return self._broken(request, [_other_plan(request.plan, plan)])
        force = in_force(old, new)
        if digest_of(force) == digest_of(old):
            self._enter(ReloadPhase.DONE)
            applied = Applied({change.role: RoleOutcome.UNCHANGED for change in plan.roles})
        else:
            try:
                self._configure(force)
            except OSError as error:
                return self._broken(request, [f"{error.filename or 'a file'}: {error.strerror}"])
            self.generation += 1
            self._enter(ReloadPhase.STAGING)
            applied = await self._change_roles(plan, force)
            self._end(old, applied)
        return Result(
            self.phase,
            self.generation,
            previous,
            request.by,
            plan=plan.digest,
            applied=plan.applied,
            roles=applied.outcomes,
            timings_ms=self._timings,
            errors=applied.errors,
            waits_for_restart=plan.waits_for_restart,
        )

    async def _read(self) -> tuple[Config, ConfigDiff]:
        """Return the file as it is now, and what it would change; raises ConfigError."""
        see = self.roles.environment.variables
        return await asyncio.to_thread(read, self.file, self.config, self.environ, see)

    def _configure(self, config: Config) -> None:
        """Put a configuration in force; what one part raises undoes all that came before it."""
        done: list[Configurable] = []
        try:
            for part in self.parts:
                part.configure(config)
                done.append(part)
        except Exception:
            for part in reversed(done):
                part.configure(self.config)
            raise
        self.config = config

    async def _change_roles(self, plan: ConfigDiff, config: Config) -> Applied:
        """Change the roles step by step, without a gap."""
        unchanged = {change.role: RoleOutcome.UNCHANGED for change in plan.roles}
        if not plan.changed_roles:
            for phase in APPLYING:
                self._enter(phase)
            return Applied(unchanged)
        try:
            rollout = await self.roles.rollout(plan, config)
            steps = (rollout.stage, rollout.switch, rollout.drain)
            for step, following in zip(steps, APPLYING, strict=True):
                await step()
                self._enter(following)
            applied = await rollout.prove()
        except Exception as error:  # noqa: BLE001 - the settings have changed; the next may do it
            log.error("reload.roles_failed", trace=traceback.format_exc())
            failed = {change.role: RoleOutcome.FAILED for change in plan.changed_roles}
            return Applied(unchanged | failed, (f"{type(error).__name__}: {error}",))
        for rolled_back in applied.rollbacks:
            self._note(rolled_back)
        return applied

    def _end(self, old: Config, applied: Applied) -> None:
        """Roles that did not change keep their old form, so that the next reload tries again."""
        undone = {role for role, outcome in applied.outcomes.items() if outcome in UNDONE}
        if undone:
            self._configure(keep_roles(old, self.config, undone))
        self._enter(ReloadPhase.ROLLED_BACK if undone else ReloadPhase.DONE)

    def _enter(self, phase: ReloadPhase) -> None:
        """Go on to a phase, and note how long the one before it took."""
        now = self.clock()
        self._timings[self.phase] = round((now - self._since) * 1000, 1)
        measured.observe(measured.RELOAD_PHASE, self.phase, now - self._since)
        self.phase, self._since = phase, now
        log.debug("reload.phase", phase=phase)

    def _broken(self, request: Request, errors: Sequence[str]) -> Result:
        self._enter(ReloadPhase.FAILED)
        return Result(
            ReloadPhase.FAILED, self.generation, self.generation, request.by,
            timings_ms=self._timings, errors=tuple(errors),
        )  # fmt: skip

    def _finish(self, result: Result, requests: list[Request]) -> None:
        self.last = result
        self.outcomes[result.state] += 1
        tell = log.info if result.state is ReloadPhase.DONE else log.error
        record = {name: value for name, value in result.as_dict().items() if name != "state"}
        tell(f"reload.{result.state}", **record)
        self.notifier.ready("" if result.state is ReloadPhase.DONE else "The last reload failed.")
        for request in requests:
            if request.answer.done():
                continue
            refused = request.plan and result.plan and request.plan != result.plan
            answer = replace(result, errors=(_superseded(request.plan),)) if refused else result
            request.answer.set_result(answer)

    # --- what happens afterwards ----------------------------------------------------------------

    async def _follow_roles(self) -> None:
        """Take in what happens to roles while no reload waits for it."""
        while True:
            self._take_in(await self.roles.events.get())

    def _take_in(self, event: RoleEvent) -> None:
        self._note(event)
        if isinstance(event, RolledBack):
            self._reverts.append(event)
            if self.phase in RESTING:
                self._revert()

    def _note(self, event: RoleEvent) -> None:
        if isinstance(event, RolledBack) and event.again is None:
            return
        kind = "rolled_back" if isinstance(event, RolledBack) else "gave_up"
        self.audit.note(f"role.{kind}", actors.role(event.role), {"why": event.why[:TEXT_LIMIT]})

    def _revert(self) -> None:
        """Name the old definitions of roles that went back, so that the next reload tries again."""
        while self._reverts:
            event = self._reverts.pop(0)
            name, again = event.role, event.again
            if again in (None, event.bad) or self.config.role(name) != event.bad:
                continue  # there is nothing to go back to, or another reload came
            roles = tuple(again if role.role == name else role for role in self.config.roles)
            try:
                self._configure(replace(self.config, roles=roles))
            except OSError as error:
                log.error("reload.not_reverted", role=name, error=str(error))
                continue
            self.phase = ReloadPhase.ROLLED_BACK
            if self.last is not None:
                self.last = replace(
                    self.last,
                    state=self.phase,
                    roles={**self.last.roles, name: RoleOutcome.ROLLED_BACK},
                    errors=(*self.last.errors, event.why),
                )
            self.outcomes["rolled_back_later"] += 1
            self.notifier.ready("The last reload was rolled back.")
            log.error("reload.reverted", role=name, error=event.why)
            detail = {"role": name, "digest": digest_of(self.config)}
            self.audit.note("configuration.reverted", actors.CONFIGURATION, detail)


def read(
    file: str | None, old: Config, environ: Mapping[str, str], roles_see: Mapping[str, str]
) -> tuple[Config, ConfigDiff]:
    """Return a valid configuration whose roles can work here, and how it differs from `old`.

    Roles that stay as they are need not be able to start: they run.

    Raises:
        ConfigError: everything that is wrong with it.
    """
    loaded = load(file, environ=environ)
    for text in loaded.broken:
        log.warning("capability.broken", problem=text)
    plan = diff(old, loaded.config)
    programs = merged(roles_see, {}, loaded.config.agents.path)
    snapshot.dumps(loaded.config)
    starting = {change.role for change in plan.roles if change.kind in ("added", "rolling")}
    problems = [
        f"{loaded.origins.get(problem.key, loaded.file)}: {problem}"
        for problem in check_handlers(loaded.config, programs)
        if problem.role in starting
    ]
    if problems:
        raise ConfigError(problems, hint="Nothing was applied.")
    return loaded.config, plan


def _other_plan(wanted: str, plan: ConfigDiff) -> str:
    return (
        f"the plan {wanted} was asked for, but the file now leads to {plan.digest}: "
        "look at it with --dry-run and ask again"
    )


def _superseded(wanted: str) -> str:
    return f"the plan {wanted} was not carried out: a newer request led to another one"
