"""Answers that are given again: how long, and whose."""

from __future__ import annotations

from khive_workers.desk.lasting import MOST_KEPT, LastingReplies
from khive_workers.desk.views.wishes import Failed, Reply, Wish
from support import Clock


class Store:
    """Answers with the number of the question, each after a second."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.asked = 0

    def __call__(self) -> Reply:
        self.asked += 1
        self.clock.now += 1.0
        return {"number": self.asked}


def test_an_answer_is_good_until_the_store_changes_and_for_a_while_after_that() -> None:
    store = Store(clock := Clock(0.0))
    replies, wish = LastingReplies(clock), Wish("memory.stats", lasts=True)
    assert replies.given(wish, 1, store) == {"number": 1}
    clock.now += 3600.0
    assert replies.given(wish, 1, store) == {"number": 1}
    assert replies.given(wish, 2, store) == {"number": 2}
    clock.now += 9.0
    assert replies.given(wish, 3, store) == {"number": 2}
    clock.now += 2.0
    assert replies.given(wish, 3, store) == {"number": 3}


def test_each_question_has_an_answer_of_its_own_and_few_are_kept() -> None:
    store = Store(clock := Clock(0.0))
    replies = LastingReplies(clock)
    for number in range(MOST_KEPT + 1):
        wish = Wish("memory.stats", {"namespace": f"n{number}"}, lasts=True)
        assert replies.given(wish, 1, store) == {"number": number + 1}
    first = Wish("memory.stats", {"namespace": "n0"}, lasts=True)
    assert replies.given(first, 1, store) == {"number": MOST_KEPT + 2}


def test_one_question_in_two_projects_is_two_questions() -> None:
    store = Store(clock := Clock(0.0))
    replies = LastingReplies(clock)
    for number, project in enumerate(("one", "two"), 1):
        wish = Wish("memory.stats", project=project, lasts=True)
        assert replies.given(wish, 1, store) == {"number": number}


def test_what_failed_is_asked_again() -> None:
    store = Store(clock := Clock(0.0))
    replies, wish = LastingReplies(clock), Wish("memory.stats", lasts=True)
    assert replies.given(wish, 1, lambda: Failed("The store is busy.")) == Failed(
        "The store is busy."
    )
    assert replies.given(wish, 1, store) == {"number": 1}
