"""The bound of tokens, against counts that o200k_base and Anthropic's tokenizer have given."""

from __future__ import annotations

import pytest

from khive_supervisor.briefing import tokens

#: Texts with the larger of both counts.
COUNTED = (
    ("", 0),
    ("continue", 1),
    ("The database listens on port 5433.", 9),
    ("Releases are cut on Thursdays, never on Fridays: the on-call engineer is away.", 22),
    ("def retry(attempts: int = 4, backoff_ms: int = 250) -> None:", 23),
    ("commit 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", 45),
)


@pytest.mark.parametrize(("text", "counted"), COUNTED)
def test_it_is_not_less_than_what_a_tokenizer_counts(text: str, counted: int) -> None:
    assert counted <= tokens.bound(text)


@pytest.mark.parametrize(("text", "counted"), COUNTED[1:])
def test_it_is_not_more_than_twice_that(text: str, counted: int) -> None:
    assert tokens.bound(text) <= 2 * counted


def test_any_text_has_one() -> None:
    assert tokens.bound("\0\ud800 \U0001f600") > 0
