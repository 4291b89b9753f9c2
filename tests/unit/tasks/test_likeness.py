"""What is believed of a role at a task from how it did at tasks like it."""

from __future__ import annotations

from random import Random

from hypothesis import assume, given
from hypothesis import strategies as st

from khive_supervisor.profiles.posterior import Beta
from khive_supervisor.tasks import selection
from khive_supervisor.tasks.likeness import LEAST, NOTHING_ALIKE, AlikeAttempt, evidence, weighed
from khive_supervisor.tasks.model import Record, RoleRow
from khive_supervisor.tasks.records import HALF_LIFE, OTHER_DIGEST

TODAY = 20_000
SHARE = st.floats(0.0, 1.0)
ATTEMPTS = st.lists(
    st.builds(
        AlikeAttempt,
        st.sampled_from(["a", "b"]),
        st.sampled_from(["now", "before"]),
        st.integers(TODAY - 60, TODAY + 1),
        SHARE,
        SHARE,
    ),
    max_size=8,
)
BELIEFS = st.builds(Beta, st.floats(0.1, 500.0), st.floats(0.1, 500.0))


def attempt(success: float, likeness: float = 1.0, role: str = "a", day: int = 0) -> AlikeAttempt:
    return AlikeAttempt(role, "now", TODAY - day, success, likeness)


@given(BELIEFS, ATTEMPTS)
def test_without_anything_alike_the_type_decides(
    by_type: Beta, attempts: list[AlikeAttempt]
) -> None:
    others = [one for one in attempts if one.role != "a"]
    assert evidence(others, "a", "now", TODAY) == NOTHING_ALIKE
    assert weighed(by_type, NOTHING_ALIKE) == by_type
    far = [attempt(0.0, LEAST / 2)]
    assert weighed(by_type, evidence(far, "a", "now", TODAY)) == by_type


@given(BELIEFS, ATTEMPTS)
def test_it_lies_between_the_type_and_what_is_alike(
    by_type: Beta, attempts: list[AlikeAttempt]
) -> None:
    alike = evidence(attempts, "a", "now", TODAY)
    assume(alike.weight > 0.0)
    low, high = sorted((by_type.mean, alike.success))
    assert low - 1e-9 <= weighed(by_type, alike).mean <= high + 1e-9


@given(BELIEFS, ATTEMPTS, st.integers(0, 7), SHARE)
def test_more_success_is_never_believed_to_be_less(
    by_type: Beta, attempts: list[AlikeAttempt], place: int, success: float
) -> None:
    assume(place < len(attempts))
    old = attempts[place]
    better = AlikeAttempt(old.role, old.digest, old.day, max(old.success, success), old.likeness)
    after = [*attempts[:place], better, *attempts[place + 1 :]]
    before_mean, after_mean = (
        weighed(by_type, evidence(some, "a", "now", TODAY)).mean for some in (attempts, after)
    )
    assert after_mean >= before_mean - 1e-9


def test_days_and_handlers_count_as_in_the_record_of_the_type() -> None:
    week_ago = AlikeAttempt("a", "before", TODAY - int(HALF_LIFE), 1.0, 0.5)
    found = evidence([week_ago, attempt(0.0)], "a", "now", TODAY)
    assert (found.attempts, found.good, found.bad) == (2, 0.5 * 0.5 * OTHER_DIGEST, 1.0)


def test_the_role_that_is_good_at_such_tasks_is_selected_and_why() -> None:
    roles = [RoleRow("a", ("fix",), "now"), RoleRow("b", ("fix",), "now")]
    records = [
        Record("a", "fix", "now", TODAY, 100, 80),
        Record("b", "fix", "now", TODAY, 100, 60),
    ]
    alike = [attempt(0.0) for _ in range(8)] + [attempt(1.0, role="b") for _ in range(8)]
    chosen = [
        selection.select(roles, "fix", records, {}, TODAY, Random(seed), alike=alike)
        for seed in range(20)
    ]
    assert all(one is not None and one.role == "b" for one in chosen)
    assert chosen[0] is not None
    told = chosen[0].explained()
    assert "attempts at tasks like this one (alike) count more" in told["because"]
    assert [one["alike"] for one in told["candidates"]] == [
        {"attempts": 8, "success": 1.0},
        {"attempts": 8, "success": 0.0},
    ]
    plain = selection.select(roles, "fix", records, {}, TODAY, Random(1))
    assert plain is not None
    assert "alike" not in plain.explained()["because"]
    assert all("alike" not in one for one in plain.explained()["candidates"])
