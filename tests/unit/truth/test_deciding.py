"""When a newer conversation may stand before an older one that decided the same thing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.truth import deciding
from khive_supervisor.truth.amending import amends, evenly, says_already
from khive_supervisor.truth.answering import Answering
from khive_supervisor.truth.compare import OTHERWISE, compare
from khive_supervisor.truth.deciding import may_decide_anew
from khive_supervisor.truth.reading import read

OLD = (
    "user: How long does the crawler of the price pages wait for a shop?\n"
    "assistant: SHOP_TIMEOUT in crawler/fetch.py is 4 seconds, then the shop is skipped."
)
NEW = (
    "user: The crawler of the price pages skips the slow shops every night.\n"
    "assistant: They need 9 seconds to answer. SHOP_TIMEOUT in crawler/fetch.py is 12 seconds."
)
BESIDE = (
    "user: And how many offers does the mail of the morning list?\n"
    "assistant: Two hundred, MOST_OFFERS in mail/digest.py, the cheapest come first."
)
OLDER = Answering(read(OLD), 0.6, 0.5, (0.7, 0.3, 0.3))
NEWER = Answering(read(NEW), 0.6, 0.5, (0.7, 0.3, 0.2))
OTHER = Answering(read(BESIDE), 0.6, 0.5, (0.5, 0.3, 0.2))


def test_a_newer_conversation_about_the_same_names_takes_the_place_of_the_first() -> None:
    assert may_decide_anew(NEWER, OLDER, 0.7)
    assert not may_decide_anew(NEWER, OLDER, 0.2)
    assert deciding.logit(NEWER, OLDER, 0.7, evenly) > 0.0


def test_a_decision_beside_it_stays_where_it_is() -> None:
    assert deciding.logit(OTHER, OLDER, 0.5, evenly) < 0.0


@pytest.mark.parametrize(("field", "value"), [("names", 0.4), ("learned_boost", 0.9)])
def test_what_has_the_names_or_was_of_use_stays_first(field: str, value: float) -> None:
    assert not may_decide_anew(replace(NEWER, **{field: value}), OLDER, 0.7)


@pytest.mark.parametrize("place", [0, 1])
def test_only_conversations_are_compared(place: int) -> None:
    pair = [NEWER, OLDER]
    text = pair[place].reading.text.replace("user: ", "").replace("assistant: ", "")
    pair[place] = replace(pair[place], reading=read(text))
    assert not may_decide_anew(*pair, 0.7)


@given(st.text(max_size=400), st.text(max_size=400))
def test_every_weight_is_of_a_feature_of_any_two_texts(one: str, other: str) -> None:
    older, newer = (replace(OLDER, reading=read(text)) for text in (one, other))
    assert deciding.features(newer, older, 0.5, evenly).keys() == deciding.WEIGHTS.keys()


def test_single_sentences_do_not_set_conversations_about_different_things_at_odds() -> None:
    one, other = "The door is open on Sundays.", "The door is closed on Sundays."
    old = (
        "user: When may members of the rowing club take their boats out on the lake?\n"
        f"assistant: From six in the morning, with a jacket and a second rower. {one}"
    )
    new = (
        "user: Vandals painted graffiti behind our bakery again, what helps against that?\n"
        f"assistant: A lamp with a sensor and a coat of paint that washes off. {other}"
    )
    assert _kind(other, one, 0.9) == OTHERWISE
    assert _kind(new, old, 0.6) != OTHERWISE


def _kind(newer: str, older: str, cosine: float) -> str:
    found = compare(read(newer), read(older), cosine)
    return found.kind if found else ""


RETRIES = (
    "user: The client retries for ever.\n"
    "assistant: Settled: the client retries 429 and 503, at most 4 times, 60 seconds apart."
)
AMENDED = (
    "user: Two updates to the retry policy of the client.\n"
    "assistant: Amending the policy: the client retries 408, 429 and 503, 30 seconds apart."
)
AGREEING = (
    "user: The client of the other region retries too often.\n"
    "assistant: Settled: the client retries 408, 429 and 503, at most 4 times, 30 seconds apart."
)


def test_what_says_already_what_is_amended_is_not_amended() -> None:
    assert amends(read(AMENDED), read(RETRIES), 0.8)
    assert says_already(AGREEING, AMENDED)
    assert not says_already(RETRIES, AMENDED)
    assert not amends(read(AMENDED), read(AGREEING), 0.8)


@pytest.mark.parametrize("newer", ["", "no numbers", "one number: 7"])
def test_a_text_of_fewer_than_two_numbers_says_nothing_already(newer: str) -> None:
    assert not says_already("7 and 8", newer)
