"""When a supervisor gives way to another release."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import Clock

from khive_supervisor import __version__
from khive_supervisor.errors import InvalidInput
from khive_supervisor.supervision.control.moving import owes
from khive_supervisor.supervision.upgrade import states as upgrade
from khive_supervisor.supervision.upgrade.handover import (
    Successor,
    Trial,
    Upgrader,
    package_directory,
    release_in,
)
from khive_supervisor.supervision.upgrade.inherited import Inherited
from khive_supervisor.supervision.upgrade.states import ASK, AUTO, OFF, Upgrade, UpgradePhase

IN_ORDER = ["0.1.0", "0.2.0rc1", "0.2", "0.2.1", "0.9.9", "0.10.0", "1.0.dev3", "1.0.0", "1.0.1"]
releases = st.from_regex(r"\A[0-9]{1,2}(\.[0-9]{1,2}){0,3}(rc[0-9])?\Z")


def test_releases_are_ordered_as_people_do() -> None:
    mixed = IN_ORDER[::-1]
    assert sorted(mixed, key=upgrade.order_of) == IN_ORDER
    assert not upgrade.newer("1.0", "1.0.0")


@given(releases, releases)
def test_of_two_releases_at_most_one_is_newer(one: str, other: str) -> None:
    assert not (upgrade.newer(one, other) and upgrade.newer(other, one))


@pytest.mark.parametrize(
    ("release", "policy", "phase"),
    [
        ("0.3.0", AUTO, UpgradePhase.TRYING),
        ("0.3.0", ASK, UpgradePhase.OFFERED),
        ("0.3.0", OFF, UpgradePhase.OFFERED),
        ("0.1.0", AUTO, UpgradePhase.OFFERED),
        ("0.2.0", AUTO, UpgradePhase.CURRENT),
        (None, AUTO, UpgradePhase.CURRENT),
    ],
)
def test_what_lies_on_disk_decides(release: str | None, policy: str, phase: UpgradePhase) -> None:
    state = upgrade.seen(Upgrade("0.2.0"), release, policy, 0.0)
    assert state.phase is phase
    asks = phase is UpgradePhase.OFFERED and policy != OFF
    assert ("khive-supervisor upgrade" in state.problem) == asks


def test_a_release_that_cannot_be_imported_is_tried_later_and_less_often() -> None:
    state, now, waits = Upgrade("0.2.0"), 0.0, []
    for _ in range(12):
        state = upgrade.seen(state, "0.3.0", AUTO, now)
        assert state.phase is UpgradePhase.TRYING
        state = upgrade.tried(state, "No module named x", now)
        assert state.phase is UpgradePhase.NOT_YET
        assert upgrade.seen(state, "0.3.0", AUTO, state.again_at - 0.01) == state
        waits.append(state.again_at - now)
        now = state.again_at
    assert waits[0] == upgrade.TRY_AGAIN
    assert waits == sorted(waits)
    assert waits[-1] == upgrade.TRY_AGAIN_MAX
    assert upgrade.seen(state, "0.4.0", AUTO, now - 1).failures == 0


@given(st.lists(st.sampled_from(["look", "good", "bad", "gone", "older", "later"]), max_size=30))
def test_only_a_release_that_was_tried_takes_over(events: list[str]) -> None:
    state, now, good = Upgrade("0.2.0"), 0.0, False
    for event in events:
        now += 400.0 if event == "later" else 0.1
        if event in ("good", "bad") and state.phase is UpgradePhase.TRYING:
            good = event == "good"
            state = upgrade.tried(state, "" if good else "broken", now)
        elif event not in ("good", "bad"):
            found = {"gone": None, "older": "0.1.0"}.get(event, "0.3.0")
            state = upgrade.seen(state, found, AUTO, now)
        assert (state.phase is UpgradePhase.HANDING_OVER) <= (good and state.release == "0.3.0")


# --- the disk -------------------------------------------------------------------------------------


def test_the_release_on_disk_is_the_one_that_its_file_names(tmp_path: Path) -> None:
    assert release_in(package_directory()) == __version__
    assert release_in(str(tmp_path)) is None
    file = tmp_path / "__init__.py"
    file.write_text("half a fi")
    assert release_in(str(tmp_path)) is None
    file.write_text('"""New."""\n\n__version__ = "0.30.0"\n')
    assert release_in(str(tmp_path)) == "0.30.0"


# --- looking, trying, handing over ----------------------------------------------------------------


class Bench:
    """An upgrader on a disk of its own, whose trials find what the test says."""

    def __init__(self, directory: Path, policy: str = AUTO) -> None:
        self.file = directory / "__init__.py"
        self.install(__version__)
        self.policy = policy
        self.problems: list[str] = []
        self.loads = "99.0.0"
        self.done: list[Successor] = []
        self.clock = Clock(0.0)
        self.upgrader = Upgrader(
            lambda: self.policy, self.trial, self.hand_over, str(directory), self.clock
        )

    def install(self, release: str) -> None:
        self.file.write_text(f'__version__ = "{release}"\n')

    async def trial(self, _: Successor) -> Trial:
        return Trial(self.loads, "/prefix", "/package", tuple(self.problems))

    async def hand_over(self, successor: Successor) -> None:
        self.done.append(successor)

    def turn(self) -> UpgradePhase:
        asyncio.run(self.upgrader._turn())
        return self.upgrader.state.phase

    def ask(self, **args: Any) -> dict[str, Any]:
        return asyncio.run(self.upgrader.ask(args))


@pytest.fixture
def made(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_newer_release_takes_over_once_it_can(made: Bench) -> None:
    assert made.turn() is UpgradePhase.CURRENT
    made.install("99.0.0")
    made.problems = ["khive_workers cannot be imported"]
    assert made.turn() is UpgradePhase.NOT_YET
    assert not made.done
    made.problems, made.clock.now = [], upgrade.TRY_AGAIN
    assert made.turn() is UpgradePhase.HANDING_OVER
    assert [successor.release for successor in made.done] == ["99.0.0"]


def test_each_reason_why_it_does_not_take_over_is_logged_once(
    made: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    made.install("99.0.0")
    for reason in ("half of it is there", "half of it is there", "a module is missing"):
        made.problems = [reason]
        made.turn()
        made.clock.now += upgrade.TRY_AGAIN_MAX
    assert [record.getMessage() for record in caplog.records] == ["upgrade.not_yet"] * 2


def test_an_interpreter_that_loads_something_else_does_not_take_over(made: Bench) -> None:
    made.install("99.0.0")
    made.loads = "98.0.0"
    assert made.turn() is UpgradePhase.NOT_YET
    assert "98.0.0" in made.upgrader.state.problem


def test_ask_says_so_to_new_sessions_and_waits(made: Bench) -> None:
    made.policy = ASK
    made.install("99.0.0")
    assert made.turn() is UpgradePhase.OFFERED
    assert not made.done
    assert "99.0.0" in made.upgrader.notice_for({"kind": "attach"})
    assert made.upgrader.notice_for({"kind": "verbs"}) == ""
    assert made.ask(check=True)["state"] == "ready"
    assert not made.done
    assert made.ask()["state"] == "handing over"
    assert made.done


def test_what_cannot_take_over_is_refused_with_its_reasons(made: Bench) -> None:
    made.problems = ["The store is newer."]
    answer = made.ask(executable="/other/bin/python", environment={"PYTHONPATH": "/x"})
    assert answer["state"] == "refused"
    assert answer["problems"] == ["The store is newer."]
    assert not made.done


@pytest.mark.parametrize("executable", ["python", 7, ["/bin/sh"]])
def test_an_interpreter_is_named_by_its_path(made: Bench, executable: Any) -> None:
    with pytest.raises(InvalidInput):
        made.ask(executable=executable)


def test_what_is_kept_crosses_the_replacement() -> None:
    kept = Inherited("0.2.0", "/run/s.sock", 5, 6, None)
    assert Inherited.parse(kept.text()) == kept
    later = '{"release":"9","socket":"/s","lock":1,"listener":2,"unknown":[1]}'
    assert Inherited.parse(later) == Inherited("9", "/s", 1, 2)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"lock":"x"}', "null"])
def test_what_no_supervisor_has_written_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        Inherited.parse(text)


# --- journals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("journal", "owed"),
    [
        (b"", False),
        (b'H {"id":1}\n', False),
        (b"H x\nA\nA\n", False),
        (b"H x\nI 2\n", True),
        (b"H x\nI 2\nD 2\n", False),
        (b'H x\nI 2\nI "a"\nD 2\n', True),
        (b"H x\nI 2", True),
    ],
)
def test_a_journal_says_whether_a_call_is_at_work(journal: bytes, owed: bool) -> None:
    assert owes(journal) is owed


@pytest.mark.parametrize(
    ("release", "key"),
    [("", ((), 0)), ("main", ((), 0)), ("1", ((1,), 0)), ("1.0", ((1,), 0)), ("0", ((), 0)),
     ("1.2rc1", ((1, 2), -1)), ("1.2.dev3", ((1, 2), -1)), ("1.2b", ((1, 2), -1)),
     ("1.2+local", ((1, 2), 0)), ("1.2.post1", ((1, 2), 0))],
)  # fmt: skip
def test_what_a_release_is_ordered_by(release: str, key: object) -> None:
    assert upgrade.order_of(release) == key


def test_a_release_that_was_asked_for_takes_over_whatever_was_wrong_before() -> None:
    before = Upgrade("0.2.0", UpgradePhase.NOT_YET, "0.3.0", "it fails", failures=3)
    state = upgrade.asked(before, "0.1.0")
    assert (state.phase, state.release, state.problem) == (UpgradePhase.HANDING_OVER, "0.1.0", "")


@pytest.mark.parametrize("phase", [UpgradePhase.TRYING, UpgradePhase.HANDING_OVER])
def test_a_look_at_the_disk_disturbs_nothing_that_is_going_on(phase: UpgradePhase) -> None:
    state = Upgrade("0.2.0", phase, "0.3.0")
    for release in (None, "0.2.0", "0.4.0"):
        assert upgrade.seen(state, release, AUTO, 0.0) is state


@pytest.mark.parametrize(("release", "word"), [("0.3.0", "A newer"), ("0.1.0", "An older")])
def test_what_is_offered_is_said_with_its_release(release: str, word: str) -> None:
    state = upgrade.seen(Upgrade("0.2.0"), release, ASK, 0.0)
    assert state.problem.startswith(f"{word} release, {release}, is installed.")
    assert (state.phase, state.release) == (UpgradePhase.OFFERED, release)


def test_what_cannot_take_over_is_tried_after_two_seconds_and_at_last_every_five_minutes() -> None:
    first = upgrade.tried(Upgrade("0.2.0"), "no", 100.0)
    assert (first.failures, first.again_at) == (1, 102.0)
    last = upgrade.tried(Upgrade("0.2.0", failures=20), "no", 100.0)
    assert last.again_at == 400.0
