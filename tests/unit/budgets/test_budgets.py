"""Budgets without a store: windows, amounts, what is set aside, states, and what usage is taken."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.budgets import limits as terms
from khive_supervisor.budgets.account import EXCEEDED, NEAR, NORMAL, STATES, Account, Spent
from khive_supervisor.budgets.amounts import counts, plain, text, whole
from khive_supervisor.budgets.limits import BudgetLimits, BudgetReserve, limits_of, reserve_for
from khive_supervisor.budgets.usage import MOST, SaidUsage, plus, usage, usage_in
from khive_supervisor.budgets.windows import DAY, Window, month, week, written
from khive_supervisor.config.settings.budget import Budget
from khive_supervisor.errors import InvalidInput
from khive_supervisor.tasks.model import TokenCounts, Usage


def unix(*date: int) -> float:
    return dt.datetime(*date, tzinfo=dt.UTC).timestamp()  # type: ignore[arg-type,misc]  # three numbers


# --- windows --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "starts", "ends"),
    [
        (unix(2026, 11, 22, 23, 59, 59), "Mon 2026-11-16 00:00 UTC", "Mon 2026-11-23 00:00 UTC"),
        (unix(2026, 11, 23), "Mon 2026-11-23 00:00 UTC", "Mon 2026-11-30 00:00 UTC"),
        (unix(2027, 1, 1), "Mon 2026-12-28 00:00 UTC", "Mon 2027-01-04 00:00 UTC"),
        (0, "Mon 1969-12-29 00:00 UTC", "Mon 1970-01-05 00:00 UTC"),
        # A clock may be set to before it was counted from.
        (-0.1, "Mon 1969-12-29 00:00 UTC", "Mon 1970-01-05 00:00 UTC"),
        (-3 * DAY - 0.1, "Mon 1969-12-22 00:00 UTC", "Mon 1969-12-29 00:00 UTC"),
    ],
)
def test_a_week_starts_on_monday(now: float, starts: str, ends: str) -> None:
    found = week(now)
    assert (found.name, written(found.start), written(found.end)) == ("week", starts, ends)


@pytest.mark.parametrize(
    ("now", "starts", "ends"),
    [
        (unix(2026, 12, 31, 23, 59, 59), "Tue 2026-12-01 00:00 UTC", "Fri 2027-01-01 00:00 UTC"),
        (unix(2027, 1, 1), "Fri 2027-01-01 00:00 UTC", "Mon 2027-02-01 00:00 UTC"),
        (unix(2028, 2, 29, 12), "Tue 2028-02-01 00:00 UTC", "Wed 2028-03-01 00:00 UTC"),
        (-0.1, "Mon 1969-12-01 00:00 UTC", "Thu 1970-01-01 00:00 UTC"),
    ],
)
def test_a_month_starts_on_its_first_day(now: float, starts: str, ends: str) -> None:
    found = month(now)
    assert (found.name, written(found.start), written(found.end)) == ("month", starts, ends)


@given(st.floats(0, unix(9000, 1, 1)))
def test_every_moment_is_in_one_window_of_each_kind(now: float) -> None:
    for kind in (week, month):
        found = kind(now)
        assert found.start <= now < found.end
        assert kind(found.start) == kind(found.end - 1) == found
        assert kind(found.end).first == found.after


# --- amounts --------------------------------------------------------------------------------------


def test_amounts_are_written_whole() -> None:
    assert text(1_500_000, "usd") == "$1.50"
    assert text(125, "usd") == "$0.000125"
    assert text(-12_345_670_000, "usd") == "-$12,345.67"
    assert text(12_000, "tokens") == "12,000 tokens"


@given(st.integers(0, 10**9), st.sampled_from(["usd", "tokens"]))
def test_amounts_survive_being_written(amount: int, unit: str) -> None:
    assert whole(plain(amount, unit), unit) == amount


def test_usage_adds_up_in_whole_numbers() -> None:
    total = Usage()
    for _ in range(10):
        total = plus(total, usage(0.1, 3))
    assert total == Usage(1_000_000, 30)
    both, tokens = (
        usage_in({"khive_usage": said, "more": 1})
        for said in ({"cost": 0.25, "tokens": 10.0}, {"tokens": 7})
    )
    assert (both, tokens) == (SaidUsage(Usage(250_000, 10)), SaidUsage(Usage(0, 7)))
    by_model = {"model": "m", "input_tokens": 5, "cached_tokens": 2, "output_tokens": 1}
    assert usage_in({"khive_usage": by_model}) == SaidUsage(Usage(0, 8), "m", TokenCounts(5, 2, 1))
    assert usage_in({"cost": 1}) is usage_in("text") is usage_in([1]) is None


@pytest.mark.parametrize(
    "said",
    [
        5,
        {},
        {"cost": -1},
        {"cost": "1"},
        {"cost": True},
        {"cost": float("nan")},
        {"cost": float("inf")},
        {"cost": 10**400},
        {"cost": MOST},
        {"tokens": 1.5},
        {"tokens": MOST + 1},
        {"cost": 1, "dollars": 1},
    ],
)
def test_what_is_no_amount_is_refused(said: Any) -> None:
    with pytest.raises(InvalidInput):
        usage_in({"khive_usage": said})


def test_one_attempt_has_a_bound() -> None:
    with pytest.raises(InvalidInput, match="cannot use more than"):
        plus(Usage(MOST, 0), Usage(1, 0))


# --- limits, and what is set aside ----------------------------------------------------------------


def test_limits_are_counted_in_whole_units_and_survive_being_stored() -> None:
    assert limits_of(Budget(near=0.5)) is None
    found = limits_of(Budget(weekly=0.1, monthly=2.0, near=0.5, reserve=0.01, fallback=("a", "b")))
    assert found == BudgetLimits(100_000, 2_000_000, "usd", 500_000, 10_000, ("a", "b"))
    assert terms.from_text(terms.as_text(found)) == found
    assert limits_of(Budget(monthly=5.0, unit="tokens")) == BudgetLimits(None, 5, "tokens")


def test_what_is_set_aside_is_configured_learned_or_a_part_of_the_limit() -> None:
    limits = BudgetLimits(weekly=1000, monthly=5000)
    assert reserve_for(limits, []) == BudgetReserve(100, "unknown")
    assert reserve_for(limits, [7]) == BudgetReserve(7, "learned")
    # Nine of ten may not take more: one that took very much does not decide.
    assert reserve_for(limits, [*range(1, 20), 900]) == BudgetReserve(18, "learned")
    assert reserve_for(BudgetLimits(weekly=1000, reserve=3), [900]) == BudgetReserve(
        3, "configured"
    )


@given(
    st.integers(0, 10**9),
    st.none() | st.integers(0, 10**9),
    st.none() | st.integers(0, 10**9),
    st.lists(st.integers(1, 10**9), max_size=20),
)
def test_while_nothing_is_spent_one_task_fits_any_limit_but_zero(
    weekly: int, monthly: int | None, reserve: int | None, recent: list[int]
) -> None:
    limits = BudgetLimits(weekly, monthly, reserve=reserve)
    account = stand(limits, recent=recent)
    assert account.fits == (limits.smallest > 0)
    assert account.exceeded == (limits.smallest == 0)


# --- how it stands --------------------------------------------------------------------------------

WEEK, MONTH = week(unix(2026, 11, 21)), month(unix(2026, 11, 21))


def stand(
    limits: BudgetLimits, spent: int = 0, reserved: int = 0, recent: list[int] | None = None
) -> Account:
    both = (Spent(WEEK, spent, spent), Spent(MONTH, spent, spent))
    return Account("r", both, limits, reserve_for(limits, recent or []), reserved)


@pytest.mark.parametrize(
    ("spent", "state"),
    [(0, NORMAL), (79, NORMAL), (80, NEAR), (90, NEAR), (91, EXCEEDED), (100, EXCEEDED)],
)
def test_a_limit_is_normal_near_or_exceeded(spent: int, state: str) -> None:
    account = stand(BudgetLimits(weekly=100, reserve=10), spent)
    assert account.state == account.state_in(account.spent[0]) == state
    assert account.state_in(account.spent[1]) == "unlimited"


def test_the_worst_window_counts_and_says_when_it_ends() -> None:
    account = stand(BudgetLimits(weekly=200_000, monthly=100_000, reserve=10_000), 99_000)
    assert account.state == EXCEEDED
    assert account.ends == MONTH.end
    assert account.why() == (
        "$0.099 of $0.10 is spent this month, and a task may take $0.01 "
        "(until Tue 2026-12-01 00:00 UTC)"
    )
    assert account.state_at(MONTH.end - 1) == EXCEEDED
    assert account.state_at(MONTH.end) == NORMAL
    assert stand(BudgetLimits(weekly=100, monthly=100), 100).ends == max(WEEK.end, MONTH.end)


def test_without_limits_everything_fits() -> None:
    account = Account("r", (Spent(WEEK, 10**15), Spent(MONTH, 10**15)))
    assert (account.state, account.fits, account.exceeded, account.blocks) == (
        "unlimited", True, False, False,
    )  # fmt: skip
    assert (account.ends, account.why()) == (None, "")


def test_zero_is_a_limit() -> None:
    account = stand(BudgetLimits(weekly=0, reserve=0))
    assert (account.state, account.fits, account.blocks) == (EXCEEDED, False, True)
    assert not stand(BudgetLimits(weekly=0, fallback=("x",))).blocks


def test_what_is_set_aside_makes_the_next_wait_but_exceeds_nothing() -> None:
    account = stand(BudgetLimits(weekly=100, reserve=10), 20, reserved=71)
    assert (account.state, account.fits, account.exceeded) == (NORMAL, False, False)
    assert account.left_in(account.spent[0]) == 9
    assert stand(BudgetLimits(weekly=100, reserve=10), 20, reserved=70).fits


@given(
    st.integers(0, 1000),
    st.none() | st.integers(0, 3000),
    st.integers(0, 100),
    st.integers(0, 1000),
    st.lists(st.integers(0, 100), max_size=40),
)
def test_tasks_that_keep_to_what_is_set_aside_never_exceed_a_limit(
    weekly: int, monthly: int | None, reserve: int, before: int, costs: list[int]
) -> None:
    """Begin whatever fits, four at once; each uses at most what was set aside for it."""
    limits = BudgetLimits(weekly, monthly, reserve=reserve)
    spent, running = 0, list[int]()
    for cost in costs:
        account = stand(limits, spent, sum(running))
        if account.fits and len(running) < 4:
            assert account.reserve is not None
            running.append(account.reserve.amount)
            assert spent + sum(running) <= limits.smallest
        elif running:
            spent += min(cost, running.pop(0))
        assert spent <= limits.smallest
    assert stand(limits, spent + before).state in STATES


def test_a_window_is_whole_days() -> None:
    window = Window("week", 3, 10)
    assert (window.start, window.end) == (3 * DAY, 10 * DAY)


# --- at the bounds --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("amount", "unit", "shown"),
    [
        (0, "usd", "$0.00"),
        (1, "usd", "$0.000001"),
        (10_000, "usd", "$0.01"),
        (12_300, "usd", "$0.0123"),
        (999_999, "usd", "$0.999999"),
        (1_000_000, "usd", "$1.00"),
        (-1, "usd", "-$0.000001"),
        (1_234_567_000_000, "usd", "$1,234,567.00"),
        (0, "tokens", "0 tokens"),
        (1234, "tokens", "1,234 tokens"),
    ],
)
def test_an_amount_has_cents_and_no_more_than_it_needs(amount: int, unit: str, shown: str) -> None:
    assert text(amount, unit) == shown


@pytest.mark.parametrize(
    ("given", "counted"),
    [
        (0, True), (0.0, True), (1, True), (0.5, True), (-1e-9, False), (-1, False),
        (True, False), (False, False), (None, False), ("1", False), (float("nan"), False),
        (float("inf"), False), (10**400, False),
    ],
)  # fmt: skip
def test_an_amount_is_a_finite_number_from_zero(given: object, *, counted: bool) -> None:
    assert counts(given) == counted


def test_the_most_of_one_attempt_is_allowed_and_nothing_more() -> None:
    assert usage(MOST / 1_000_000, MOST) == Usage(MOST, MOST)
    for cost, tokens in ((MOST / 1_000_000 + 1e-3, 0), (0, MOST + 1), (10.0**300, 0)):
        with pytest.raises(InvalidInput, match="cannot use more than"):
            usage(cost, tokens)
    assert plus(Usage(MOST - 1, MOST), Usage(1, 0)) == Usage(MOST, MOST)
    with pytest.raises(InvalidInput):
        plus(Usage(0, MOST), Usage(0, 1))


@pytest.mark.parametrize(
    ("many", "taken"), [(1, 1), (2, 2), (9, 9), (10, 9), (11, 10), (19, 18), (20, 18)]
)
def test_nine_of_ten_attempts_may_not_take_more_than_what_is_set_aside(
    many: int, taken: int
) -> None:
    limits = BudgetLimits(weekly=1000)
    for recent in (range(1, many + 1), range(many, 0, -1)):
        assert reserve_for(limits, list(recent)) == BudgetReserve(taken, "learned")


@pytest.mark.parametrize(("smallest", "part"), [(1, 1), (10, 1), (11, 2), (1000, 100), (0, 0)])
def test_while_nothing_is_known_a_tenth_of_the_limit_is_set_aside(smallest: int, part: int) -> None:
    for limits in (BudgetLimits(weekly=smallest), BudgetLimits(monthly=smallest, weekly=5000)):
        assert reserve_for(limits, []) == BudgetReserve(part, "unknown")


@pytest.mark.parametrize("reserve", [500, 1000, 5000])
def test_no_more_than_the_smallest_limit_is_set_aside(reserve: int) -> None:
    limits = BudgetLimits(weekly=1000, monthly=5000, reserve=reserve)
    assert reserve_for(limits, [7]) == BudgetReserve(min(reserve, 1000), "configured")
    assert reserve_for(BudgetLimits(weekly=1000), [reserve]).amount == min(reserve, 1000)


def test_each_window_has_its_own_limit() -> None:
    limits = BudgetLimits(weekly=1, monthly=2)
    assert (limits.of("week"), limits.of("month")) == (1, 2)
    assert BudgetLimits(monthly=7).smallest == BudgetLimits(weekly=7).smallest == 7


def test_what_is_spent_is_counted_in_each_unit() -> None:
    assert (Spent(WEEK, 5, 7).of("usd"), Spent(WEEK, 5, 7).of("tokens")) == (5, 7)
    assert (Spent(WEEK).of("usd"), Spent(WEEK).of("tokens")) == (0, 0)


def test_only_the_units_of_the_limit_count_against_it() -> None:
    tokens = BudgetLimits(weekly=100, unit="tokens", reserve=10)
    spent = (Spent(WEEK, cost=10**9, tokens=20),)
    account = Account("r", spent, tokens, reserve_for(tokens, []))
    assert (account.state, account.left_in(spent[0])) == (NORMAL, 80)


def test_limits_of_which_nothing_is_set_aside_yet_hold_nobody_up() -> None:
    account = Account("r", (Spent(WEEK, 500),), BudgetLimits(weekly=100))
    assert (account.state, account.fits, account.why()) == ("unlimited", True, "")


def test_of_a_limit_that_is_spent_whole_nothing_is_said_of_the_next_task() -> None:
    limits = BudgetLimits(weekly=200_000, reserve=10_000)
    spent = stand(limits, 200_000).why()
    assert spent == "$0.20 of $0.20 is spent this week (until Mon 2026-11-23 00:00 UTC)"
    assert "and a task may take $0.01" in stand(limits, 199_999).why()
    assert stand(limits, 190_000).why() == ""


def test_every_window_that_is_exceeded_is_named() -> None:
    why = stand(BudgetLimits(weekly=100_000, monthly=100_000, reserve=0), 100_000).why()
    assert [part.split(" (")[0].rsplit(" ", 1)[1] for part in why.split("; ")] == ["week", "month"]


@pytest.mark.parametrize(
    ("near", "spent", "state"),
    [(0.5, 49, NORMAL), (0.5, 50, NEAR), (1.0, 89, NORMAL), (0.0, 0, NEAR)],
)
def test_near_is_a_share_of_the_limit(near: float, spent: int, state: str) -> None:
    limits = limits_of(Budget(weekly=100.0, unit="tokens", near=near, reserve=10.0))
    assert limits is not None
    assert stand(limits, spent).state == state


@pytest.mark.parametrize(("spent", "state"), [(799_999_999, NORMAL), (800_000_000, NEAR)])
def test_a_share_of_a_large_limit_is_exact(spent: int, state: str) -> None:
    assert stand(BudgetLimits(weekly=10**9, reserve=1), spent).state == state


def test_what_an_attempt_does_not_say_it_has_not_used() -> None:
    assert (usage(), usage(0.25), usage(tokens=7)) == (Usage(), Usage(250_000, 0), Usage(0, 7))
    with pytest.raises(InvalidInput, match=r"more than \$1,000,000 or 1,000,000,000,000 tokens"):
        usage(tokens=MOST + 1)


def test_what_goes_on_when_a_limit_is_exceeded_depends_on_the_fallback() -> None:
    spent = stand(BudgetLimits(weekly=100, reserve=10), 100)
    helped = stand(BudgetLimits(weekly=100, reserve=10, fallback=("x",)), 100)
    normal = stand(BudgetLimits(weekly=100, reserve=10), 0)
    assert [one.exceeded for one in (spent, helped, normal)] == [True, True, False]
    assert [one.blocks for one in (spent, helped, normal)] == [True, False, False]
    assert [one.ends for one in (spent, helped, normal)] == [WEEK.end, WEEK.end, None]
