"""An answer of a search as lines: all that is in it, for who reads the text alone."""

from __future__ import annotations

from khive_supervisor.verbs.result_lines import found_text

PLAIN = {"id": "m1", "content": "tea", "score": 0.9, "created_at": "2026-11-29"}
WHOLE = {
    **PLAIN, "kind": "fact", "title": "Tea", "tags": ["a", "b"], "source": "/tea.md",
    "project": "kitchen", "cut": "3 of 9", "older": "m2",
}  # fmt: skip
LINE = "m1 2026-11-29 of kitchen fact #a #b (/tea.md) [older: m2] Tea: tea [cut: 3 of 9]"
SERVED = {"serve": "5e1f", "profile": "mine"}


def test_a_line_has_id_day_and_content() -> None:
    assert found_text({"results": [PLAIN], "served_by": SERVED}) == "m1 2026-11-29 tea"


def test_a_line_has_all_that_a_reader_needs() -> None:
    answer = {
        "results": [WHOLE, PLAIN], "served_by": SERVED, "namespace": "n", "notes": ["Only words."]
    }  # fmt: skip
    assert found_text(answer).splitlines() == [
        LINE, "m1 2026-11-29 tea", "note: Only words.", "namespace: n"
    ]  # fmt: skip


def test_how_it_was_ranked_is_said_to_whoever_asks() -> None:
    ranked = {**WHOLE, "why": "words #1", "ranking": {"lift": 1.1}}
    answer = {"results": [ranked], "served_by": SERVED, "search": {"words": "1 candidate"}}
    assert found_text(answer).splitlines() == [
        f"{LINE} score=0.90 words #1 lift=1.1",
        "serve: 5e1f  profile: mine  words: 1 candidate",
    ]


def test_no_results_are_said() -> None:
    assert found_text({"results": [], "served_by": {"serve": "5"}}) == "Nothing."
