"""An answer of a search as lines: all that is in it, for who reads the text alone."""

from __future__ import annotations

from khive_supervisor.verbs import answers

PLAIN = {"id": "m1", "content": "tea", "score": 0.9, "created_at": "2026-11-29"}
WHOLE = {
    **PLAIN, "kind": "fact", "title": "Tea", "tags": ["a", "b"], "source": "/tea.md",
    "project": "kitchen", "cut": "3 of 9", "older": "m2", "why": "words #1",
    "ranking": {"lift": 1.1},
}  # fmt: skip
HEAD = "m1 2026-11-29 0.90 fact of kitchen #a #b (/tea.md)"


def test_a_line_has_id_day_score_and_content() -> None:
    answer = {"results": [PLAIN], "served_by": {"serve": "5e1f"}}
    assert answers.found_text(answer).splitlines() == ["m1 2026-11-29 0.90 tea", "serve: 5e1f"]


def test_a_line_has_all_that_a_result_has() -> None:
    answer = {
        "results": [WHOLE], "served_by": {"serve": "5e1f", "profile": "mine"}, "namespace": "n",
        "notes": ["Only words."], "search": {"words": "1 candidate"},
    }  # fmt: skip
    assert answers.found_text(answer).splitlines() == [
        f"{HEAD} Tea: tea [cut: 3 of 9] [older: m2] words #1 lift=1.1",
        "note: Only words.",
        "serve: 5e1f  profile: mine  namespace: n  words: 1 candidate",
    ]


def test_no_results_are_said() -> None:
    assert answers.found_text({"results": [], "served_by": {"serve": "5"}}).startswith("Nothing.\n")
