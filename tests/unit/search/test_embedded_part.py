"""What of a query is embedded."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.search.engine import EMBEDDED_CHARACTERS, EMBEDDED_WORDS, embedded_part


def test_a_short_query_is_embedded_whole() -> None:
    assert embedded_part("how do I revert a commit?") == "how do I revert a commit?"
    assert embedded_part("") == ""


def test_a_long_one_up_to_its_hundredth_word_or_sign() -> None:
    words = [f"w{number}" for number in range(EMBEDDED_WORDS + 5)]
    assert embedded_part(" ".join(words)) == " ".join(words[:EMBEDDED_WORDS]) + " "
    assert embedded_part("(" * 200) == "(" * EMBEDDED_WORDS


@given(st.text(max_size=3000))
def test_it_is_always_a_beginning(query: str) -> None:
    part = embedded_part(query)
    assert query.startswith(part)
    assert len(part) <= EMBEDDED_CHARACTERS
