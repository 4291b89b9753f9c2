"""Which candidate does a task: what each step passes over, and that the reasons are given."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.routing import choice
from khive_supervisor.routing.choice import choose
from khive_supervisor.routing.model import (
    PRICES,
    CandidateOffer,
    CandidateRecord,
    RouteChoice,
    RoutedTask,
    RoutingFacts,
    with_intervals,
)

TODAY = 20_000
FACTS = RoutingFacts(1000.0, TODAY)
DEAR = CandidateOffer("opus", "d-opus", "dear")
CHEAP = CandidateOffer("haiku", "d-haiku", "cheap")
LOCAL = CandidateOffer("local", "d-local", "free")
ALL = (DEAR, CHEAP, LOCAL)
TASK = RoutedTask("fix", 100)


def record(
    offer: CandidateOffer, good: int, bad: int = 0, *, kind: str = "fix", cost: float = 0.0
) -> CandidateRecord:
    return CandidateRecord(
        offer.digest, kind, TODAY, good + bad, good, cost=round(cost * 1e6 * (good + bad))
    )


def name(found: RouteChoice) -> str:
    return found.offer.name if found.offer else ""


def passed_over(found: RouteChoice) -> dict[str, str]:
    return {one.name: one.passed_over for one in found.considered if one.passed_over}


def counts(facts: RoutingFacts, tries: int = 500, task: RoutedTask = TASK) -> Counter[str]:
    rng = Random(7)
    return Counter(name(choose(ALL, task, facts, rng)) for _ in range(tries))


def test_a_task_that_asks_for_one_gets_it_or_waits() -> None:
    asked = replace(TASK, asked="opus")
    found = choose(ALL, asked, FACTS, Random(1))
    assert name(found) == "opus"
    assert found.because.startswith("the task asks for it")
    assert passed_over(found) == dict.fromkeys(["haiku", "local"], "the task asks for another")
    away = choose(ALL, asked, replace(FACTS, waits={"d-opus": 1030.0}), Random(1))
    assert (away.offer, away.retry_at, away.because) == (None, 1030.0, "it is not available")


def test_one_that_is_asked_for_and_gone_from_the_configuration_binds_nobody() -> None:
    assert name(choose(ALL, replace(TASK, asked="gone"), FACTS, Random(1)))


@pytest.mark.parametrize(
    ("task", "who"),
    [
        (RoutedTask("fix", 50), {"small", "any"}),
        (RoutedTask("fix", 500), {"large", "any"}),
        (RoutedTask("fix", 100), {"small", "large", "any"}),
        (RoutedTask("review", 50), {"reviewer", "small", "any"}),
    ],
)
def test_rules_by_type_and_size(task: RoutedTask, who: set[str]) -> None:
    offers = (
        CandidateOffer("small", "a", size_max=100),
        CandidateOffer("large", "b", size_min=100),
        CandidateOffer("reviewer", "c", task_types=("review",)),
        CandidateOffer("any", "d"),
    )
    found = choose(offers, task, FACTS, Random(3))
    assert {one.name for one in found.considered if not one.passed_over} == who
    assert set(passed_over(found).values()) == {"its rules exclude the task"}


def test_where_the_rules_exclude_all_all_may_do_it() -> None:
    offers = (CandidateOffer("a", "a", size_max=10), CandidateOffer("b", "b", task_types=("x",)))
    found = choose(offers, TASK, FACTS, Random(3))
    assert found.offer is not None
    assert not passed_over(found)


def test_those_that_are_away_or_were_tried_are_passed_over() -> None:
    found = choose(
        ALL, replace(TASK, tried=frozenset({"haiku"})), replace(FACTS, waits={"d-opus": 1.0}),
        Random(1),
    )  # fmt: skip
    assert name(found) == "local"
    assert passed_over(found) == {
        "haiku": "it could not do it just now",
        "opus": "it is not available",
    }


def test_if_all_are_away_it_says_when_to_look_again() -> None:
    waits = {"d-opus": 1060.0, "d-haiku": 1030.0, "d-local": 1500.0}
    found = choose(ALL, TASK, replace(FACTS, waits=waits), Random(1))
    assert (found.offer, found.retry_at) == (None, 1030.0)
    assert len(passed_over(found)) == 3


def test_near_the_limit_the_dearest_class_is_passed_over() -> None:
    near = replace(FACTS, budget="near")
    found = choose(ALL, TASK, near, Random(1))
    assert passed_over(found) == {"opus": "the budget is near"}
    assert found.because.startswith("the budget is near; ")
    # Not where there is no cheaper one.
    assert name(choose((DEAR,), TASK, near, Random(1))) == "opus"


def test_beyond_the_limit_only_a_free_one_works() -> None:
    exceeded = replace(FACTS, budget="exceeded")
    found = choose(ALL, TASK, exceeded, Random(1))
    assert (name(found), found.because) == ("local", "the budget is exceeded; no other is left")
    none = choose((DEAR, CHEAP), TASK, exceeded, Random(1))
    assert (none.offer, none.because, none.retry_at) == (None, "the budget is exceeded", None)


def test_the_best_known_has_most_tasks_and_others_a_bounded_share() -> None:
    known = replace(
        FACTS, records=(record(DEAR, 900, 100), record(CHEAP, 500, 500), record(LOCAL, 50, 50))
    )
    found = counts(known)
    assert found["opus"] == 500  # the others had their share already
    # Little is known of the free one: it may be tried.
    fewer = replace(known, records=(record(DEAR, 90, 10), record(CHEAP, 80, 20), record(LOCAL, 1)))
    assert counts(fewer)["local"] > 0


def test_of_equals_the_cheaper_has_the_task() -> None:
    equal = replace(FACTS, records=(record(DEAR, 9000, 1000), record(CHEAP, 9000, 1000)))
    found = choose((DEAR, CHEAP), TASK, equal, Random(1))
    assert name(found) == "haiku"
    # Of one class, by what their tasks have cost.
    one, other = CandidateOffer("one", "1"), CandidateOffer("other", "2")
    costs = replace(FACTS, records=(record(one, 9000, cost=0.5), record(other, 9000, cost=0.1)))
    assert name(choose((one, other), TASK, costs, Random(1))) == "other"


def test_what_the_others_did_says_little_of_one_that_is_new() -> None:
    known = replace(FACTS, records=(record(DEAR, 100),))
    found = choose((DEAR, CHEAP), TASK, known, Random(1))
    new = next(one for one in found.considered if one.name == "haiku")
    assert new.belief is not None
    assert (0.5 < new.belief.mean < 1.0, new.belief.ess) == (True, 2.0)


def test_the_reasons_are_plain_data() -> None:
    found = choose(ALL, TASK, replace(FACTS, records=(record(CHEAP, 8, 2, cost=0.01),)), Random(1))
    stored = found.explained()
    assert all("interval" not in one for one in stored["considered"])
    shown = with_intervals(stored)
    assert shown["candidate"] == name(found)
    assert len(shown["considered"]) == 3
    haiku = next(one for one in shown["considered"] if one["candidate"] == "haiku")
    assert haiku["cost"] == pytest.approx(0.01)
    assert haiku["interval"][0] < haiku["mean"] < haiku["interval"][1]
    belief = next(one.belief for one in found.considered if one.name == "haiku")
    assert belief is not None
    assert haiku["interval"] == pytest.approx(belief.interval(), abs=0.002)
    # What a candidate did is nothing for a confined session: there is only its name.
    assert with_intervals({"candidate": "haiku"}) == {"candidate": "haiku"}


_OFFER = st.builds(
    CandidateOffer,
    st.sampled_from("abcdef"),
    st.sampled_from("uvwxyz"),
    st.sampled_from(PRICES),
    st.sampled_from([(), ("fix",), ("review",)]),
    st.sampled_from([0, 10, 1000]),
    st.sampled_from([0, 10, 1000]),
)
_OFFERS = st.lists(_OFFER, max_size=6, unique_by=lambda one: one.name)
_RECORD = st.builds(
    CandidateRecord,
    st.sampled_from("uvwxyz"),
    st.sampled_from(["fix", "review"]),
    st.integers(TODAY - 100, TODAY + 1),
    st.integers(10, 1000),
    st.integers(0, 10),
    cost=st.integers(0, 10**9),
)


@given(
    _OFFERS,
    st.builds(
        RoutedTask,
        st.sampled_from(["fix", "review"]),
        st.integers(0, 2000),
        st.sampled_from(["", "a", "b", "zzz"]),
        st.frozensets(st.sampled_from("abcdef"), max_size=3),
    ),
    st.builds(
        RoutingFacts,
        st.just(1000.0),
        st.just(TODAY),
        st.sampled_from(["unlimited", "ok", "near", "exceeded"]),
        st.lists(_RECORD, max_size=8).map(tuple),
        st.dictionaries(st.sampled_from("uvwxyz"), st.floats(1001, 2000), max_size=4),
    ),
    st.integers(0, 1000),
)
def test_every_choice_is_allowed_and_explained(
    offers: list[CandidateOffer], task: RoutedTask, facts: RoutingFacts, seed: int
) -> None:
    found = choose(offers, task, facts, Random(seed))
    assert sorted(one.name for one in found.considered) == sorted(one.name for one in offers)
    assert found.because
    if found.offer is None:
        assert all(one.passed_over for one in found.considered)
        return
    offer = found.offer
    assert offer.digest not in facts.waits
    assert offer.name not in task.tried
    assert facts.budget != "exceeded" or offer.price == "free"
    if any(one.name == task.asked for one in offers):
        assert offer.name == task.asked
    assert not next(one for one in found.considered if one.name == offer.name).passed_over


@given(st.integers(0, 50))
def test_exploration_is_bounded_and_the_best_is_found(seed: int) -> None:
    """Each success and failure is noted: what goes to others stays within its bounds."""
    rng, skills = Random(seed), {"opus": 0.95, "haiku": 0.6, "local": 0.3}
    done = dict.fromkeys(skills, (0, 0))
    for _ in range(300):
        records = tuple(
            record(one, *done[one.name]) for one in ALL if sum(done[one.name])
        )  # fmt: skip
        offer = choose(ALL, TASK, replace(FACTS, records=records), rng).offer
        assert offer is not None
        good, bad = done[offer.name]
        won = rng.random() < skills[offer.name]
        done[offer.name] = (good + won, bad + (not won))
    best = sum(done["opus"])
    least = choice.EXPLORED_LEAST * 2
    assert 300 - best <= max(least, choice.EXPLORED * 300) + 40  # before it was known
