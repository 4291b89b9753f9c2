"""The reloader with a host and roles that only take notes."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from khive_supervisor.config import Config, load
from khive_supervisor.config.changes import ConfigDiff
from khive_supervisor.supervision.reload.reloader import Reloader
from khive_supervisor.supervision.reload.states import ReloadEvent, ReloadPhase, Result, RoleOutcome
from khive_supervisor.supervision.roles.control import Applied, NoRoles, OnPhase
from khive_supervisor.supervision.systemd import Notifier

ROLE = '[[roles]]\nrole = "{}"\ntask_types = ["a"]\nhandler = {{ python = "json:loads" }}\n'


class Roles(NoRoles):
    """Roles whose changes end as the test says, when it says so."""

    def __init__(self) -> None:
        self.outcomes: dict[str, RoleOutcome] = {}
        self.errors: tuple[str, ...] = ()
        self.plans: list[ConfigDiff] = []
        self.began = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.error: Exception | None = None

    async def apply(self, plan: ConfigDiff, config: Config, entered: OnPhase) -> Applied:
        self.plans.append(plan)
        self.began.set()
        entered(ReloadEvent.STAGED)
        await self.go_on.wait()
        if self.error is not None:
            raise self.error
        found = await NoRoles().apply(plan, config, lambda event: None)
        return Applied({**found.outcomes, **self.outcomes}, self.errors)


class Host:
    """The configuration in force, and what was taken."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.config_file: str | None = str(file)
        self.config = load(self.config_file, environ={}).config
        self.taken: list[Config] = []
        self.error: OSError | None = None

    def take(self, config: Config) -> None:
        if self.error is not None:
            raise self.error
        self.config = config
        self.taken.append(config)


class Bench:
    """A reloader at work."""

    def __init__(self, tmp_path: Path) -> None:
        self.file = tmp_path / "khive.toml"
        self.file.write_text("")
        self.host = Host(self.file)
        self.roles = Roles()
        self.reloader = Reloader(
            self.host, self.roles, Notifier(), environ={"PATH": ""}, clock=lambda: 1.0
        )

    async def reload(self, text: str, plan: str = "") -> Result:
        self.file.write_text(text)
        return await self.reloader.ask("test", plan)


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))


def on_bench(tmp_path: Path, test: Callable[[Bench], Awaitable[None]]) -> Bench:
    async def main() -> Bench:
        bench = Bench(tmp_path)
        work = asyncio.create_task(bench.reloader.run())
        await asyncio.wait_for(test(bench), 30)
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
        assert bench.host.config.log.level == "debug"
        assert bench.host.config.log.backups == Config().log.backups
        again = await bench.reload('[log]\nlevel = "debug"\nbackups = 7\n')
        assert (again.state, again.changed) == (ReloadPhase.DONE, False)
        assert again.waits_for_restart == ("log.backups",)
        assert len(bench.host.taken) == 1
        assert set(result.timings) == {
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
        before = bench.host.config
        result = await bench.reload(text)
        assert (result.state, result.generation) == (ReloadPhase.FAILED, 1)
        assert result.errors[0].startswith(str(bench.file))
        assert bench.host.config is before
        assert (bench.host.taken, bench.roles.plans) == ([], [])
        assert (await bench.reload('[log]\nlevel = "error"\n')).state is ReloadPhase.DONE

    on_bench(tmp_path, test)


def test_a_role_that_stays_need_not_be_able_to_start(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        text = ROLE.format("a").replace("json:", "no_such_module:")
        bench.file.write_text(text)
        bench.host.config = load(str(bench.file), environ={}).config
        result = await bench.reload(text + '[log]\nlevel = "debug"\n')
        assert result.roles == {"a": RoleOutcome.UNCHANGED}
        assert result.applied == ("log.level",)

    on_bench(tmp_path, test)


def test_a_file_that_is_gone_changes_nothing(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        bench.file.unlink()
        assert (await bench.reloader.ask("test")).state is ReloadPhase.FAILED
        assert bench.host.taken == []

    on_bench(tmp_path, test)


def test_only_the_plan_of_the_dry_run_is_carried_out(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        bench.file.write_text('[log]\nlevel = "debug"\n')
        plan = await bench.reloader.rehearse()
        assert bench.host.taken == []
        other = await bench.reload('[log]\nlevel = "error"\n', plan["digest"])
        assert other.state is ReloadPhase.FAILED
        assert "--dry-run" in other.errors[0]
        assert bench.host.taken == []
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
            return await asyncio.wait_for(answer, 30)
        finally:
            work.cancel()

    assert asyncio.run(main()).applied == ("log.level",)


@pytest.mark.parametrize("outcome", [RoleOutcome.ROLLED_BACK, RoleOutcome.FAILED])
def test_a_role_that_was_rolled_back_is_tried_again_at_the_next_reload(
    tmp_path: Path, outcome: RoleOutcome
) -> None:
    async def test(bench: Bench) -> None:
        await bench.reload(ROLE.format("a"))
        old = bench.host.config.roles
        bench.roles.outcomes = {"a": outcome, "b": outcome}
        text = ROLE.format("a") + "timeout = 1\n" + ROLE.format("b") + '[log]\nlevel = "debug"\n'
        result = await bench.reload(text)
        assert (result.state, result.roles["a"]) == (ReloadPhase.ROLLED_BACK, outcome)
        assert bench.host.config.roles == old
        assert bench.host.config.log.level == "debug"
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
        (old,) = bench.host.config.roles
        text = ROLE.format("a") + "timeout = 1\n"
        await bench.reload(text)
        (bad,) = bench.host.config.roles
        if busy:  # another reload is at work, which leaves this role alone
            bench.roles.go_on.clear()
            bench.roles.began.clear()
            bench.file.write_text(text + ROLE.format("b"))
            answer = bench.reloader.ask("test")
            await bench.roles.began.wait()
            bench.reloader.rolled_back(bad, old, "its tasks failed")
            bench.roles.go_on.set()
            await answer
        else:
            bench.reloader.rolled_back(bad, old, "its tasks failed")
        assert bench.host.config.role("a") == old
        assert bench.reloader.last is not None
        assert bench.reloader.last.state is ReloadPhase.ROLLED_BACK
        assert bench.reloader.last.roles["a"] is RoleOutcome.ROLLED_BACK
        assert bench.reloader.last.errors == ("its tasks failed",)
        bench.reloader.rolled_back(bad, old, "told twice")
        assert bench.reloader.last.errors == ("its tasks failed",)
        again = await bench.reload(text)
        assert (again.state, again.roles["a"]) == (ReloadPhase.DONE, RoleOutcome.ROLLED)

    on_bench(tmp_path, test)


def test_whatever_the_roles_run_into_the_next_reload_is_possible(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        bench.roles.error = RuntimeError("out of order")
        result = await bench.reload(ROLE.format("a"))
        assert (result.state, result.roles) == (ReloadPhase.ROLLED_BACK, {"a": RoleOutcome.FAILED})
        assert result.errors == ("RuntimeError: out of order",)
        bench.roles.error = None
        assert bench.host.config.roles == ()
        assert (await bench.reload(ROLE.format("a"))).roles == {"a": RoleOutcome.ADDED}

    on_bench(tmp_path, test)


def test_what_cannot_be_taken_over_changes_nothing(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        bench.host.error = OSError(28, "No space left on device", "/x")
        result = await bench.reload('[log]\nlevel = "debug"\n' + ROLE.format("a"))
        assert result.errors == ("/x: No space left on device",)
        assert bench.roles.plans == []

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
