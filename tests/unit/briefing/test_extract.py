"""Sentences of long entries that answer a prompt: the decision with its figures, little else."""

from __future__ import annotations

from khive_supervisor.briefing import tokens
from khive_supervisor.briefing.extract import GAP, answering, decides
from khive_supervisor.briefing.sentences import utterances

TALK = "assistant: Fine. We could talk about the weather as well, or about lunch.\n" * 20
CHAT = f"""user: hey, can we look at the uploads again? They were flaky this week.
{TALK}assistant: I looked into `upload/retry.py`. It retries forever right now.
user: Right. Let's cap it: from now on at most 4 attempts, with 250 ms backoff, never on 413.
assistant: Got it. I'll make MAX_ATTEMPTS = 4 and keep the jitter.
{TALK}user: ok thanks, ship it
"""
PROMPT = "Uploads hammer the server when it answers 413, fix that"


def test_the_decision_is_taken_with_all_its_figures() -> None:
    found = answering(CHAT, PROMPT, 150)
    for literal in ("4 attempts", "250 ms", "413", "upload/retry.py"):
        assert literal in found
    assert "weather" not in found


def test_it_is_not_longer_than_its_budget() -> None:
    for budget in (20, 40, 80, 150, 300):
        assert tokens.bound(answering(CHAT, PROMPT, budget)) <= budget


def test_a_text_that_fits_is_whole() -> None:
    assert answering("The database listens on port 5433.\n", "uploads", 50) == (
        "The database listens on port 5433."
    )


def test_without_a_prompt_the_decision_is_what_counts() -> None:
    assert "at most 4 attempts" in answering(CHAT, "", 60)


def test_gaps_are_marked_and_order_is_kept() -> None:
    found = answering(CHAT, PROMPT, 150)
    assert GAP in found
    assert found.index("retry.py") < found.index("4 attempts")


def test_nothing_is_better_than_half_a_sentence() -> None:
    assert answering(CHAT, PROMPT, 3) == ""


def test_a_sentence_worth_more_takes_the_place_of_a_short_one() -> None:
    short = "All of it was old."
    long = "Names such as .env and .config.yaml always map by what stands after their last dot."
    text = f"{short} {long}"
    assert answering(text, "names", tokens.bound(long)) == long
    assert answering(text, "names", tokens.bound(short)) == short


def test_any_text_is_read() -> None:
    huge = "x" * 100_000
    assert tokens.bound(answering(huge, "x", 100)) <= 100


def test_a_rule_is_told_from_a_remark() -> None:
    assert decides("We always format with ruff.")
    assert not decides("The weather was fine.")


def test_sentences_are_cut_where_they_end() -> None:
    text = "- We use v1.2, e.g. for tests. Then `make` runs.\nuser: No. 5 is alive"
    assert [one.text for one in utterances(text)] == [
        "We use v1.2, e.g. for tests.",
        "Then `make` runs.",
        "No. 5 is alive",
    ]
    assert utterances(text)[-1].users
