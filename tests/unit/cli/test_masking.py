"""What of a report may be shown to others."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.cli.doctor import masking

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["a", "state", "cwd"]), inner),
)


@given(JSON)
def test_no_text_is_left_but_words_under_known_keys(data: object) -> None:
    shown = json.dumps(masking.masked({"content": data}))
    for text in masking.texts_in(data):
        if len(text) > 40:
            assert json.dumps(text)[1:-1] not in shown


def test_words_of_programs_stay_and_others_go() -> None:
    data = {"state": "none yet", "event": "role.gone", "title": "x", "count": 3, "last_exit": "",
            "name": "a sentence somebody wrote", "kind": "sk-ant-api03-Qm7xVb92LkTrYwAAAA",
            "a secret of ours: \u00e4!": True}  # fmt: skip
    assert masking.masked(data) == {
        "state": "none yet", "event": "role.gone", "title": "(1 characters)", "count": 3,
        "last_exit": "", "name": "(25 characters)", "kind": "(31 characters)",
        "(20 characters)": True,
    }  # fmt: skip


def test_a_line_that_is_no_record_says_only_how_long_it_is() -> None:
    assert masking.log_line("some words") == "(10 characters)"
    assert masking.log_line("[1]") == "(3 characters)"
    assert json.loads(masking.log_line('{"event": "x", "text": "y"}')) == {
        "event": "x", "text": "(1 characters)",
    }  # fmt: skip


def test_sentences_lose_what_was_set_and_the_home() -> None:
    text = masking.scrubbed("/home/you/x: role pelican is bad", ["pelican", "x"], "/home/you")
    assert text == "~/x: role (set) is bad"
