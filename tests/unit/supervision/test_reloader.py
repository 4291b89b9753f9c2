"""The reloader with parts and roles that only take notes."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock, MagicMock

import pytest
from pool_support import until

from khive_supervisor.config.changes import ConfigDiff
from khive_supervisor.config.load import load
from khive_supervisor.config.settings.model import Config
from khive_supervisor.supervision.maintenance.audit_events import AuditEvents
from khive_supervisor.supervision.reload.reloader import Reloader
from khive_supervisor.supervision.reload.result import ReloadPhase, Result
from khive_supervisor.supervision.roles.environment import RoleEnvironment
from khive_supervisor.supervision.roles.events import (
    Applied,
    GaveUp,
    RoleEvent,
    RoleOutcome,
    RolledBack,
)
from khive_supervisor.supervision.roles.manager import Roles
from khive_supervisor.supervision.roles.rollout import Rollout
from khive_supervisor.supervision.systemd import Notifier

ROLE = '[[roles]]\nrole = "{}"\ntask_types = ["a"]\nhandler = {{ python = "json:loads" }}\n'
#: What becomes of a role that nothing goes wrong with, by the kind of its change.
DONE = {
    "added": RoleOutcome.ADDED,
    "removed": RoleOutcome.REMOVED,
    "rolling": RoleOutcome.ROLLED,
    "live": RoleOutcome.LIVE,
    "unchanged": RoleOutcome.UNCHANGED,
}


class FakeRollout(Rollout):
    """A change of roles that ends as the test says."""

    def __init__(self, roles: FakeRoles, plan: ConfigDiff) -> None:
        self.roles = roles
        self.plan = plan

    async def stage(self) -> None:
        self.roles.began.set()

    async def switch(self) -> None:
        await self.roles.go_on.wait()
        if self.roles.error is not None:
            raise self.roles.error

    async def drain(self) -> None:
        return

    async def prove(self) -> Applied:
        done = {change.role: DONE[change.kind] for change in self.plan.roles}
        return Applied({**done, **self.roles.outcomes}, self.roles.errors, self.roles.rollbacks)


class FakeRoles(Roles):
    """Roles whose changes end as the test says, when it says so."""

    def __init__(self) -> None:
        self.environment = RoleEnvironment({"PATH": ""})
        self.events: asyncio.Queue[RoleEvent] = asyncio.Queue()
        self.outcomes: dict[str, RoleOutcome] = {}
        self.errors: tuple[str, ...] = ()
        self.rollbacks: tuple[RolledBack, ...] = ()
        self.plans: list[ConfigDiff] = []
        self.began = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.error: Exception | None = None

    async def rollout(self, plan: ConfigDiff, config: Config) -> Rollout:
        self.plans.append(plan)
        return FakeRollout(self, plan)


class FakePart:
    """Something that goes by the configuration, and may refuse another one."""

    def __init__(self) -> None:
        self.taken: list[Config] = []
        self.error: OSError | None = None

    def configure(self, config: Config) -> None:
        if self.error is not None:
            raise self.error
        self.taken.append(config)


class Bench:
    """A reloader at work."""

    def __init__(self, tmp_path: Path, text: str = "") -> None:
        self.file = tmp_path / "khive.toml"
        self.file.write_text(text)
        self.part, self.last_part, self.roles = FakePart(), FakePart(), FakeRoles()
        self.audit = AuditEvents(AsyncMock())
        self.reloader = Reloader(
            str(self.file),
            load(str(self.file), environ={}).config,
            [self.part, self.last_part],
            self.roles,
            self.audit,
            Notifier(),
            environ={"PATH": ""},
            clock=lambda: 1.0,
        )

    async def reload(self, text: str, plan: str = "") -> Result:
        self.file.write_text(text)
        return await self.reloader.ask("test", plan)

    async def tell(self, event: RoleEvent) -> None:
        """Have something happen to a role, and wait until it was taken in."""
        self.roles.events.put_nowait(event)
        await until(self.roles.events.empty)

    def told(self) -> list[str]:
        """The kinds of the entries of the audit chain so far."""
        chain = MagicMock()
        for note in self.audit._notes:
            note(chain)
        return [call.args[0] for call in chain.record.call_args_list]


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))


def on_bench(tmp_path: Path, test: Callable[[Bench], Awaitable[None]], text: str = "") -> Bench:
    async def main() -> Bench:
        bench = Bench(tmp_path, text)
        work = asyncio.create_task(bench.reloader.run())
        await asyncio.wait_for(test(bench), 60)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        return bench

    return asyncio.run(main())


def test_what_differs_is_taken_and_the_rest_waits(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        result = await bench.reload('[log]\nlevel = "debug"\nbackups = 7\n')
        assert (result.state, result.generation, result.previous) == (ReloadPhase.DONE, 2, 1)
        assert result.applied == ("log.level",)
        assert result.waits_for_restart == ("log.backups",)
        assert bench.reloader.config.log.level == "debug"
        assert bench.reloader.config.log.backups == Config().log.backups
        again = await bench.reload('[log]\nlevel = "debug"\nbackups = 7\n')
        assert (again.state, again.changed) == (ReloadPhase.DONE, False)
        assert again.waits_for_restart == ("log.backups",)
        assert len(bench.part.taken) == 1
        assert set(result.timings_ms) == {
            "parsing", "staging", "switching", "draining", "watching",
        }  # fmt: skip

    on_bench(tmp_path, test)


@pytest.mark.parametrize(
    "text",
    [
        "[log",
        '[log]\nlevel = "loud"\n',
        '[[roles]]\nrole = "a"\n',
        '[log]\nlevel = "debug"\n' + ROLE.format("a").replace("json:", "no_such_module:"),
    ],
)
def test_an_invalid_file_changes_nothing(tmp_path: Path, text: str) -> None:
    async def test(bench: Bench) -> None:
        before = bench.reloader.config
        result = await bench.reload(text)
        assert (result.state, result.generation) == (ReloadPhase.FAILED, 1)
        assert result.errors[0].startswith(str(bench.file))
        assert bench.reloader.config is before
        assert (bench.part.taken, bench.roles.plans) == ([], [])
        assert (await bench.reload('[log]\nlevel = "error"\n')).state is ReloadPhase.DONE

    on_bench(tmp_path, test)


def test_a_role_that_stays_need_not_be_able_to_start(tmp_path: Path) -> None:
    text = ROLE.format("a").replace("json:", "no_such_module:")

    async def test(bench: Bench) -> None:
        result = await bench.reload(text + '[log]\nlevel = "debug"\n')
        assert result.roles == {"a": RoleOutcome.UNCHANGED}
        assert result.applied == ("log.level",)

    on_bench(tmp_path, test, text)


def test_a_file_that_is_gone_changes_nothing(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        bench.file.unlink()
        assert (await bench.reloader.ask("test")).state is ReloadPhase.FAILED
        assert bench.part.taken == []

    on_bench(tmp_path, test)


def test_only_the_plan_of_the_dry_run_is_carried_out(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        bench.file.write_text('[log]\nlevel = "debug"\n')
        plan = await bench.reloader.rehearse()
        assert bench.part.taken == []
        other = await bench.reload('[log]\nlevel = "error"\n', plan["digest"])
        assert other.state is ReloadPhase.FAILED
        assert "--dry-run" in other.errors[0]
        assert bench.part.taken == []
        result = await bench.reload('[log]\nlevel = "debug"\n', plan["digest"])
        assert (result.state, result.changed) == (ReloadPhase.DONE, True)

    on_bench(tmp_path, test)


def test_a_rehearsal_says_everything_that_is_wrong(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        bench.file.write_text('[log]\nlevel = "loud"\nbackups = 0\n')
        plan = await bench.reloader.rehearse()
        assert (plan["valid"], len(plan["errors"])) == (False, 2)

    on_bench(tmp_path, test)


def test_requests_that_wait_are_answered_by_the_newest(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        bench.roles.go_on.clear()
        bench.file.write_text(ROLE.format("a"))
        first = bench.reloader.ask("first")
        await bench.roles.began.wait()
        waiting = [bench.reloader.ask(f"later {n}") for n in range(50)]
        bench.file.write_text(ROLE.format("a") + ROLE.format("b"))
        bench.roles.go_on.set()
        assert (await first).roles == {"a": RoleOutcome.ADDED}
        results = await asyncio.gather(*waiting)
        assert {id(result) for result in results} == {id(results[0])}
        assert results[0].requested_by == "later 49"
        assert results[0].roles == {"a": RoleOutcome.UNCHANGED, "b": RoleOutcome.ADDED}
        assert len(bench.roles.plans) == 2

    on_bench(tmp_path, test)


def test_a_request_from_before_the_work_began_is_served(tmp_path: Path) -> None:
    async def main() -> Result:
        bench = Bench(tmp_path)
        bench.file.write_text('[log]\nlevel = "debug"\n')
        answer = bench.reloader.ask("early")
        work = asyncio.create_task(bench.reloader.run())
        try:
            return await asyncio.wait_for(answer, 60)
        finally:
            work.cancel()

    assert asyncio.run(main()).applied == ("log.level",)


@pytest.mark.parametrize("outcome", [RoleOutcome.ROLLED_BACK, RoleOutcome.FAILED])
def test_a_role_that_was_rolled_back_is_tried_again_at_the_next_reload(
    tmp_path: Path, outcome: RoleOutcome
) -> None:
    async def test(bench: Bench) -> None:
        await bench.reload(ROLE.format("a"))
        old = bench.reloader.config.roles
        bench.roles.outcomes = {"a": outcome, "b": outcome}
        text = ROLE.format("a") + "timeout = 1\n" + ROLE.format("b") + '[log]\nlevel = "debug"\n'
        result = await bench.reload(text)
        assert (result.state, result.roles["a"]) == (ReloadPhase.ROLLED_BACK, outcome)
        assert bench.reloader.config.roles == old
        assert bench.reloader.config.log.level == "debug"
        bench.roles.outcomes = {}
        again = await bench.reload(text)
        assert again.roles == {"a": RoleOutcome.ROLLED, "b": RoleOutcome.ADDED}
        assert again.state is ReloadPhase.DONE

    on_bench(tmp_path, test)


def test_a_reload_says_why_a_role_did_not_change(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        bench.roles.outcomes = {"a": RoleOutcome.FAILED}
        bench.roles.errors = ("no such module",)
        result = await bench.reload(ROLE.format("a"))
        assert (result.state, result.errors) == (ReloadPhase.ROLLED_BACK, ("no such module",))

    on_bench(tmp_path, test)


@pytest.mark.parametrize("busy", [False, True])
def test_a_rollback_after_the_reload_takes_its_definition_out_of_force(
    tmp_path: Path, busy: bool
) -> None:
    async def test(bench: Bench) -> None:
        await bench.reload(ROLE.format("a"))
        (old,) = bench.reloader.config.roles
        text = ROLE.format("a") + "timeout = 1\n"
        await bench.reload(text)
        (bad,) = bench.reloader.config.roles
        if busy:  # another reload is at work, which leaves this role alone
            bench.roles.go_on.clear()
            bench.roles.began.clear()
            bench.file.write_text(text + ROLE.format("b"))
            answer = bench.reloader.ask("test")
            await bench.roles.began.wait()
            await bench.tell(RolledBack(bad, old, "its tasks failed"))
            bench.roles.go_on.set()
            await answer
        else:
            await bench.tell(RolledBack(bad, old, "its tasks failed"))
        assert bench.reloader.config.role("a") == old
        assert bench.reloader.last is not None
        assert bench.reloader.last.state is ReloadPhase.ROLLED_BACK
        assert bench.reloader.last.roles["a"] is RoleOutcome.ROLLED_BACK
        assert bench.reloader.last.errors == ("its tasks failed",)
        assert bench.told()[-1] == "configuration.reverted"
        await bench.tell(RolledBack(bad, old, "told twice"))
        assert bench.reloader.last.errors == ("its tasks failed",)
        again = await bench.reload(text)
        assert (again.state, again.roles["a"]) == (ReloadPhase.DONE, RoleOutcome.ROLLED)

    on_bench(tmp_path, test)


def test_a_rollback_during_the_reload_comes_back_as_a_value(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        await bench.reload(ROLE.format("a"))
        (old,) = bench.reloader.config.roles
        bad = dataclasses.replace(old, timeout=1.0)
        bench.roles.outcomes = {"a": RoleOutcome.ROLLED_BACK}
        bench.roles.rollbacks = (RolledBack(bad, old, "its tasks failed"),)
        result = await bench.reload(ROLE.format("a") + "timeout = 1\n")
        assert result.state is ReloadPhase.ROLLED_BACK
        assert bench.reloader.config.roles == (old,)
        assert bench.told()[-2:] == ["role.rolled_back", "configuration.reloaded"]

    on_bench(tmp_path, test)


def test_a_definition_that_failed_with_nothing_to_go_back_to_stays_in_force(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        await bench.reload(ROLE.format("a"))
        (bad,) = bench.reloader.config.roles
        before = bench.told()
        await bench.tell(RolledBack(bad, None, "its tasks failed"))
        assert bench.reloader.config.roles == (bad,)
        assert bench.told() == before

    on_bench(tmp_path, test)


def test_a_role_that_was_given_up_is_on_record_and_changes_nothing(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        await bench.tell(GaveUp("a", "too many deaths"))
        assert bench.told() == ["role.gave_up"]
        assert (bench.reloader.last, bench.part.taken) == (None, [])

    on_bench(tmp_path, test)


def test_whatever_the_roles_run_into_the_next_reload_is_possible(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        bench.roles.error = RuntimeError("out of order")
        result = await bench.reload(ROLE.format("a"))
        assert (result.state, result.roles) == (ReloadPhase.ROLLED_BACK, {"a": RoleOutcome.FAILED})
        assert result.errors == ("RuntimeError: out of order",)
        bench.roles.error = None
        assert bench.reloader.config.roles == ()
        assert (await bench.reload(ROLE.format("a"))).roles == {"a": RoleOutcome.ADDED}

    on_bench(tmp_path, test)


def test_what_cannot_be_taken_over_changes_nothing(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        before = bench.reloader.config
        bench.last_part.error = OSError(28, "No space left on device", "/x")
        result = await bench.reload('[log]\nlevel = "debug"\n' + ROLE.format("a"))
        assert result.errors == ("/x: No space left on device",)
        assert bench.roles.plans == []
        assert bench.part.taken[-1] is bench.reloader.config is before
        assert bench.told() == ["configuration.refused"]

    on_bench(tmp_path, test)


def test_an_end_during_a_reload_leaves_nobody_waiting(tmp_path: Path) -> None:
    async def main() -> Any:
        bench = Bench(tmp_path)
        bench.roles.go_on.clear()
        bench.file.write_text(ROLE.format("a"))
        work = asyncio.create_task(bench.reloader.run())
        answer = bench.reloader.ask("test")
        await bench.roles.began.wait()
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        return answer

    assert asyncio.run(main()).cancelled()


def test_the_last_result_is_described(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        assert bench.reloader.describe()["last_reload"] is None
        await bench.reload(ROLE.format("a"))
        described = bench.reloader.describe()
        assert (described["phase"], described["generation"]) == ("done", 2)
        assert described["last_reload"]["roles"] == {"a": "added"}
        assert dataclasses.is_dataclass(bench.reloader.last)

    on_bench(tmp_path, test)
