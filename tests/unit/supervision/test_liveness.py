"""Who hangs and who is only slow: never replaced for the watcher's own lateness, nor for load."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.supervision.processes.liveness import (
    BLIND,
    LATE,
    TICK,
    HangLimits,
    Life,
    LifeSigns,
    LifeVerdict,
    after_look,
    of_store_users,
    until_due,
)

LIMITS = HangLimits()

#: Seconds from one look to the next, when the watcher is in time.
#: Below the limit: sums of them are not exact.
GAPS = st.floats(min_value=0.1, max_value=LATE - 0.001)
#: What a process shows that works, however slowly.
WORKING = st.sampled_from("RDt")


def _watch(looks: list[tuple[float, LifeSigns]], limits: HangLimits = LIMITS) -> list[LifeVerdict]:
    now, life, verdicts = 0.0, Life(0.0), []
    for gap, signs in looks:
        now += gap
        life, verdict = after_look(life, signs, now, limits)
        verdicts.append(verdict)
    return verdicts


def _seconds_until_hung(signs: LifeSigns, limits: HangLimits = LIMITS) -> float:
    now, life, verdict = 0.0, Life(0.0), LifeVerdict.ALIVE
    while verdict is not LifeVerdict.HUNG:
        now += TICK
        assert now < 2 * limits.busy, "never found"
        life, verdict = after_look(life, signs, now, limits)
    return now


# --- what is found ---------------------------------------------------------------------------


def test_a_stopped_process_is_found_whether_it_was_asked_or_not() -> None:
    for owes in (True, False):
        assert _seconds_until_hung(LifeSigns(owes, "T")) == 2 * TICK


def test_one_that_sleeps_instead_of_answering_is_found() -> None:
    assert _seconds_until_hung(LifeSigns(True, "S", 1.0)) <= LIMITS.silent + TICK


def test_one_that_spins_instead_of_answering_is_found_late() -> None:
    assert _seconds_until_hung(LifeSigns(True, "R")) == LIMITS.busy


def test_where_the_system_shows_nothing_only_a_long_silence_counts() -> None:
    assert _seconds_until_hung(LifeSigns(True)) == BLIND


def test_one_that_is_found_was_said_to_hang_before() -> None:
    verdicts = _watch([(TICK, LifeSigns(True, "S"))] * 10)
    assert verdicts == [LifeVerdict.ALIVE] + [LifeVerdict.SILENT] * 8 + [LifeVerdict.HUNG]
    assert _watch([(TICK, LifeSigns(False, "T"))] * 2) == [LifeVerdict.SILENT, LifeVerdict.HUNG]


@given(st.lists(GAPS, min_size=40, max_size=60))
def test_a_stopped_process_is_found_within_its_bound_and_one_look(gaps: list[float]) -> None:
    verdicts = _watch([(gap, LifeSigns(True, "T")) for gap in gaps])
    found = verdicts.index(LifeVerdict.HUNG)
    assert found > 0, "one look is not enough, whatever the time since the one before"
    assert sum(gaps[1:found]) < LIMITS.stopped + 1e-6  # as far as sums of floats agree


@given(GAPS, st.sampled_from("SRD"), st.floats(0.1, LATE))
def test_one_that_was_stopped_for_a_moment_is_left_alone(
    gap: float, on: str, next_gap: float
) -> None:
    looks = [(gap, LifeSigns(False, "T")), (next_gap, LifeSigns(False, on))] * 5
    assert LifeVerdict.HUNG not in _watch(looks)


# --- what is not -----------------------------------------------------------------------------


@given(st.lists(st.tuples(GAPS, st.sampled_from("SRDZ"), st.floats(0, 1e6)), max_size=500))
def test_one_that_answers_is_never_found(looks: list[tuple[float, str, float]]) -> None:
    verdicts = _watch([(gap, LifeSigns(False, letter, cpu)) for gap, letter, cpu in looks])
    assert set(verdicts) <= {LifeVerdict.ALIVE}


@given(st.lists(st.tuples(GAPS, st.booleans(), WORKING), min_size=1, max_size=500))
def test_one_that_works_is_not_found_before_the_long_limit(
    looks: list[tuple[float, bool, str]],
) -> None:
    seconds, kept = 0.0, []
    for gap, owes, letter in looks:
        seconds += gap
        if seconds < LIMITS.busy:
            kept.append((gap, LifeSigns(owes, letter)))
    assert not {LifeVerdict.HUNG, LifeVerdict.SILENT} & set(_watch(kept))


@given(st.integers(1, 200), st.floats(min_value=0.01, max_value=10))
def test_processor_time_that_is_used_is_a_sign_of_work(looks: int, used: float) -> None:
    """The main thread sleeps while it waits for the interpreter's lock."""
    verdicts = _watch([(TICK, LifeSigns(True, "S", used * n)) for n in range(1, looks)])
    assert not {LifeVerdict.HUNG, LifeVerdict.SILENT} & set(verdicts)


@given(
    st.lists(
        st.tuples(
            st.floats(min_value=LATE * 1.001, max_value=1e6), st.booleans(), st.sampled_from("TSR")
        ),
        max_size=100,
    )
)
def test_a_watcher_that_is_always_late_finds_nobody(looks: list[tuple[float, bool, str]]) -> None:
    verdicts = _watch([(gap, LifeSigns(owes, letter)) for gap, owes, letter in looks])
    assert set(verdicts) <= {LifeVerdict.ALIVE}


@given(st.floats(min_value=LATE * 1.001, max_value=1e6), st.integers(0, 1))
def test_after_a_pause_everything_is_counted_anew(pause: float, stopped_before: int) -> None:
    """All stopped, the watcher too, and continued: children may come back a little later."""
    before = [(TICK, LifeSigns(True, "T"))] * stopped_before
    after = [
        (pause, LifeSigns(True, "T")),
        (TICK, LifeSigns(True, "T")),
        (TICK, LifeSigns(True, "R")),
    ]
    verdicts = _watch(before + after)
    assert LifeVerdict.HUNG not in verdicts
    assert verdicts[-1] is LifeVerdict.ALIVE


def test_a_clock_that_jumps_back_finds_nobody() -> None:
    life, verdict = after_look(Life(100.0, owing=9.0, still=9.0), LifeSigns(True, "S"), 1.0, LIMITS)
    assert verdict is LifeVerdict.ALIVE
    assert life == Life(1.0)


def test_who_may_wait_for_the_stores_lock_gets_that_time_as_well() -> None:
    limits = of_store_users(5.0)
    assert limits.silent == HangLimits().silent + 5.0
    assert (limits.stopped, limits.busy) == (HangLimits().stopped, HangLimits().busy)


def test_a_process_is_unheard_for_the_longer_of_owing_and_being_stopped() -> None:
    assert Life(0.0).unheard == 0.0
    assert Life(0.0, owing=3.0, stopped=2.0).unheard == 3.0
    assert Life(0.0, owing=1.0, stopped=2.0).unheard == 2.0


# --- when looks are due ---------------------------------------------------------------------------


@given(
    now=st.floats(min_value=0.0, max_value=1e8),
    interval=st.floats(min_value=0.01, max_value=3600.0),
)
def test_nothing_is_due_later_than_after_its_interval(now: float, interval: float) -> None:
    assert 0 <= until_due(now, interval) <= interval


@given(now=st.floats(min_value=0.0, max_value=1e6), ticks=st.integers(1, 3600))
def test_what_takes_whole_ticks_is_due_with_a_tick_and_then_in_step(now: float, ticks: int) -> None:
    due = now + until_due(now, ticks * TICK)
    assert abs(due - round(due)) < 1e-6
    late = round(due) + 0.001
    assert abs(late + until_due(late, ticks * TICK) - round(due) - ticks) < 1e-6
