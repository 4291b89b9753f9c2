"""Reloading the configuration: read, check and compare first; then change what differs.

Until a file has been found to be valid nothing is touched, and an invalid one is answered with
everything that is wrong with it. One reload is at work at a time; see reload_state.
"""

from __future__ import annotations

import asyncio
import os
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from khive_supervisor import logs
from khive_supervisor.config import snapshot
from khive_supervisor.config.changes import ConfigDiff, diff, digest_of, in_force, keep_roles
from khive_supervisor.config.handlers import check_handlers
from khive_supervisor.config.load import load
from khive_supervisor.config.settings.model import Config
from khive_supervisor.config.settings.roles import Role
from khive_supervisor.errors import ConfigError
from khive_supervisor.supervision.processes.login_shell import merged
from khive_supervisor.supervision.reload.states import (
    UNDONE,
    Coordinator,
    ReloadEvent,
    ReloadPhase,
    Result,
    RoleOutcome,
    after,
    ending,
    next_request,
)
from khive_supervisor.supervision.roles.control import RoleControl
from khive_supervisor.supervision.systemd import Notifier

log = logs.get("khive.reload")

Outcomes = Mapping[str, RoleOutcome]
OnEnd = Callable[[str, Result, ConfigDiff | None, str], None]


class Host(Protocol):
    """The supervisor, as far as a reload is concerned."""

    config: Config
    config_file: str | None

    def take(self, config: Config) -> None:
        """Make a configuration the one in force; raises OSError and changes nothing."""


@dataclass(frozen=True, slots=True)
class Request:
    """Somebody who wants a reload, and the plan that it must be, if not any."""

    number: int
    by: str
    plan: str
    answer: asyncio.Future[Result]
    actor: str


class Reloader:
    """Serves requests for reloads; used only from the supervisor's loop."""

    def __init__(
        self,
        host: Host,
        roles: RoleControl,
        notifier: Notifier,
        *,
        environ: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.roles = roles
        self.last: Result | None = None
        #: Told of the end of each reload: who asked, its result, the plan if the file was valid,
        #: and the digest of what is in force.
        self.on_end: OnEnd = lambda _actor, _result, _plan, _digest: None
        #: Told of a role that went back after its reload, and the digest of what is in force.
        self.on_revert: Callable[[str, str], None] = lambda _role, _digest: None
        #: How many reloads ended how; roles that went back by themselves count as rolled back.
        self.outcomes: Counter[str] = Counter()
        self._host = host
        self._notifier = notifier
        self._environ = environ
        #: The environment in which roles look for their programs; None: the supervisor's own.
        self.roles_see: Mapping[str, str] | None = None
        self._clock = clock
        self._state = Coordinator(digest=digest_of(host.config))
        self._requests: list[Request] = []
        self._asked = asyncio.Event()
        self._reverted: list[tuple[Role, Role, str]] = []
        self._plan: ConfigDiff | None = None
        self._timings: dict[str, float] = {}
        self._since = 0.0

    # --- asking -------------------------------------------------------------------------------

    def ask(self, by: str, plan: str = "", actor: str = "") -> asyncio.Future[Result]:
        """Ask for a reload, now or after the one at work; one before `run` is kept for it.

        Args:
            by: who asks, for the log.
            plan: the digest that a dry run gave; another plan is then not carried out.
            actor: who asks, for `on_end`; `by` if empty.
        """
        self._state = after(self._state, ReloadEvent.ASKED)
        answer = asyncio.get_running_loop().create_future()
        self._requests.append(Request(self._state.asked, by, plan, answer, actor or by))
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
        """What a reload would do now; nothing is changed."""
        try:
            _, plan = await self._read()
        except ConfigError as error:
            return {"valid": False, "errors": list(error.problems), "empty": True}
        return {"valid": True, "errors": [], **plan.as_dict(), "text": plan.describe()}

    def describe(self) -> dict[str, Any]:
        """What `status` shows."""
        return {
            "phase": self._state.phase.value,
            "generation": self._state.generation,
            "last_reload": self.last.as_dict() if self.last else None,
        }

    # --- what fails afterwards ------------------------------------------------------------------

    def rolled_back(self, bad: Role, again: Role, why: str) -> None:
        """A role went back by itself: what is in force names its old definition from now on.

        So the next reload with the same file tries the new one again.
        """
        self._reverted.append((bad, again, why))
        if not self._state.busy:
            self._revert()

    def _revert(self) -> None:
        while self._reverted:
            bad, again, why = self._reverted.pop(0)
            config = self._host.config
            if config.role(bad.role) != bad or bad == again:
                continue  # the reload that brought it has taken it back, or another one came
            roles = tuple(again if role.role == bad.role else role for role in config.roles)
            try:
                self._host.take(replace(config, roles=roles))
            except OSError as error:
                log.error("reload.not_reverted", role=bad.role, error=str(error))
                continue
            digest = digest_of(self._host.config)
            self._state = after(self._state, ReloadEvent.REVERTED, digest=digest)
            if self.last is not None:
                self.last = replace(
                    self.last,
                    state=self._state.phase,
                    roles={**self.last.roles, bad.role: RoleOutcome.ROLLED_BACK},
                    errors=(*self.last.errors, why),
                )
            self.outcomes["rolled_back_later"] += 1
            self._notifier.ready("The last reload was rolled back.")
            log.error("reload.reverted", role=bad.role, error=why)
            self.on_revert(bad.role, digest)

    # --- working ------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve requests until cancelled."""
        try:
            while True:
                await self._asked.wait()
                self._asked.clear()
                while self._state.busy:
                    await self._serve()
                    self._state = next_request(self._state)
        finally:
            for request in self._requests:
                request.answer.cancel()

    async def _serve(self) -> None:
        mine = [request for request in self._requests if request.number <= self._state.current]
        self._plan, self._timings, self._since = None, {}, self._clock()
        newest = mine[-1]
        log.info("reload.started", by=newest.by)
        self._notifier.reloading()
        try:
            result = await self._reload(newest)
        except Exception as error:  # noqa: BLE001 - the next reload must be possible
            log.error("reload.broken", trace=traceback.format_exc())
            result = self._broken(newest, [f"{type(error).__name__}: {error}"])
        self._requests = self._requests[len(mine) :]
        self.on_end(newest.actor, result, self._plan, self._state.digest)
        self._finish(result, mine)
        self._revert()

    async def _reload(self, request: Request) -> Result:
        old, previous = self._host.config, self._state.generation
        try:
            new, plan = await self._read()
        except ConfigError as error:
            return self._broken(request, error.problems)
        self._plan = plan
        if request.plan and request.plan != plan.digest:
            return self._broken(request, [_other_plan(request.plan, plan)])
        force = in_force(old, new)
        result = Result(
            ReloadPhase.DONE,
            self._state.generation,
            previous,
            request.by,
            plan=plan.digest,
            applied=plan.applied,
            roles={change.role: RoleOutcome.UNCHANGED for change in plan.roles},
            waits_for_restart=plan.waits_for_restart,
        )
        if digest_of(force) == self._state.digest:
            self._step(ReloadEvent.UNCHANGED)
            return replace(result, timings=self._timings)
        try:
            self._host.take(force)
        except OSError as error:
            return self._broken(request, [f"{error.filename or 'a file'}: {error.strerror}"])
        self._step(ReloadEvent.VALID, digest_of(force))
        outcomes, errors = await self._change_roles(plan, force)
        self._end(old, force, outcomes)
        return replace(
            result,
            state=self._state.phase,
            generation=self._state.generation,
            roles=outcomes,
            errors=errors,
            timings=self._timings,
        )

    async def _read(self) -> tuple[Config, ConfigDiff]:
        """The file as it is now, and what it would change; raises ConfigError."""
        old = self._host.config
        file, see = self._host.config_file, self.roles_see
        return await asyncio.to_thread(read, file, old, self._environ, see)

    async def _change_roles(
        self, plan: ConfigDiff, config: Config
    ) -> tuple[Outcomes, tuple[str, ...]]:
        """What became of each role, and what went wrong with all of them at once."""
        unchanged = {change.role: RoleOutcome.UNCHANGED for change in plan.roles}
        if not plan.changed_roles:
            return unchanged, ()
        try:
            applied = await self.roles.apply(plan, config, self._step)
        except Exception as error:  # noqa: BLE001 - the settings have changed; the next may do it
            log.error("reload.roles_failed", trace=traceback.format_exc())
            failed = {change.role: RoleOutcome.FAILED for change in plan.changed_roles}
            return unchanged | failed, (f"{type(error).__name__}: {error}",)
        return applied.outcomes, applied.errors

    def _end(self, old: Config, force: Config, outcomes: Outcomes) -> None:
        """Roles that did not change keep their old form, so that the next reload tries again."""
        undone = {role for role, outcome in outcomes.items() if outcome in UNDONE}
        if undone:
            force = keep_roles(old, force, undone)
            self._host.take(force)
            self._step(ending(outcomes), digest_of(force))
            return
        for phase, event in _REST:
            if self._state.phase is phase:
                self._step(event)

    def _step(self, event: ReloadEvent, digest: str = "") -> None:
        now = self._clock()
        phase = self._state.phase.value
        self._timings[phase] = round((now - self._since) * 1000, 1)
        self._since = now
        self._state = after(self._state, event, digest=digest)
        log.debug("reload.phase", phase=self._state.phase.value)

    def _broken(self, request: Request, errors: Any) -> Result:
        generation = self._state.generation
        self._step(ReloadEvent.BROKEN)
        return Result(
            ReloadPhase.FAILED, generation, generation, request.by,
            timings=self._timings, errors=tuple(errors),
        )  # fmt: skip

    def _finish(self, result: Result, requests: list[Request]) -> None:
        self.last = result
        self.outcomes[result.state.value] += 1
        tell = log.info if result.state is ReloadPhase.DONE else log.error
        tell(f"reload.{result.state.value}", **_logged(result))
        self._notifier.ready("" if result.state is ReloadPhase.DONE else "The last reload failed.")
        for request in requests:
            if request.answer.done():
                continue
            refused = request.plan and result.plan and request.plan != result.plan
            answer = replace(result, errors=(_superseded(request.plan),)) if refused else result
            request.answer.set_result(answer)


#: What is left to go through when the roles have changed, or none had to.
_REST = (
    (ReloadPhase.STAGING, ReloadEvent.STAGED),
    (ReloadPhase.SWITCHING, ReloadEvent.SWITCHED),
    (ReloadPhase.DRAINING, ReloadEvent.DRAINED),
    (ReloadPhase.WATCHING, ReloadEvent.KEPT),
)


def read(
    file: str | None,
    old: Config,
    environ: Mapping[str, str],
    roles_see: Mapping[str, str] | None = None,
) -> tuple[Config, ConfigDiff]:
    """A valid configuration whose roles can work here, and how it differs from `old`.

    Roles that stay as they are need not be able to start: they run.

    Raises:
        ConfigError: everything that is wrong with it.
    """
    loaded = load(file, environ=environ)
    for text in loaded.broken:
        log.warning("capability.broken", problem=text)
    plan = diff(old, loaded.config)
    programs = merged(roles_see or environ, {}, loaded.config.agents.path)
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


def _logged(result: Result) -> dict[str, Any]:
    data = result.as_dict()
    del data["state"]
    return data
