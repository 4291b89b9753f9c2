"""What a text that amends something changes: the words that few have, and what it names."""

from __future__ import annotations

import pytest

from khive_supervisor.truth import amending
from khive_supervisor.truth.amending import amends, features
from khive_supervisor.truth.compare import OTHERWISE, compare
from khive_supervisor.truth.reading import read

OLD = (
    "user: Sizes in the volume files are read as bytes, which nobody wants. "
    "assistant: Settled: parse_size reads a bare number as mebibytes, for volumes and memory alike."
)
NEW = (
    "user: Amendment to the sizes decision: the vendor bills volumes in decimal gigabytes. "
    "assistant: Amended, superseding mebibytes for volumes: parse_size reads a bare number as "
    "gigabytes there; memory stays as it is."
)
BESIDE = (
    "user: Who may change the volume files? "
    "assistant: Settled: the platform team alone, with a review by storage."
)


def test_a_decision_is_amended_though_the_model_finds_both_half_as_near() -> None:
    found = compare(read(NEW), read(OLD), 0.5)
    assert found is not None
    assert found.kind == OTHERWISE
    assert not amends(read(OLD), read(NEW), 0.5)


def test_a_decision_beside_the_amended_one_still_holds() -> None:
    assert not amends(read(NEW), read(BESIDE), 0.45)


def test_without_a_word_of_change_nothing_is_amended() -> None:
    again = NEW.replace("Amendment to", "About").replace("Amended, superseding", "So, no")
    assert not amends(read(again), read(OLD), 0.9)


def test_what_is_said_to_be_changed_is_looked_for_in_the_older_one() -> None:
    assert features(read(NEW), read(OLD), 0.5)["named"] == 1.0
    assert features(read(NEW), read(BESIDE), 0.5)["named"] < 0.5


def test_words_that_all_have_say_nothing() -> None:
    def worth(some: object) -> dict[str, float]:
        return {one: 0.0 if one == "parse_size" else 1.0 for one in {*NEW_WORDS, *OLD_WORDS}}

    even = features(read(NEW), read(OLD), 0.5)["shared"]
    assert features(read(NEW), read(OLD), 0.5, worth)["shared"] < even


NEW_WORDS, OLD_WORDS = read(NEW).tokens.values(), read(OLD).tokens.values()


@pytest.mark.parametrize(
    "said",
    ["from now on", "as of v2", "as of 3.0", "as of June", "going forward", "we changed our minds"],
)
def test_words_of_time_say_that_something_is_amended(said: str) -> None:
    assert read(f"Bare numbers are minutes, {said}.").amends


@pytest.mark.parametrize("said", ["it is now done", "as of", "no longer flaky", "instead of two"])
def test_words_that_are_in_every_other_chat_do_not(said: str) -> None:
    assert not read(f"The job is slow, {said}.").amends


def test_without_words_nothing_is_shared() -> None:
    assert features(read("?"), read("!"), None)["shared"] == 0.0
    assert amending.evenly([]) == {}
