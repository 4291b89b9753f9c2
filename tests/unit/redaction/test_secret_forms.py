"""Forms that are secrets by themselves: each is found by its words, and by nothing less."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from khive_supervisor.redaction.forms import FORMS, TYPED, Form, possible

#: Forms whose words may be written in any case; only usual ways to write them are looked for.
_ANY_CASE = [form for form in FORMS if "(?i" in form.text]
ASCII = st.characters(min_codepoint=9, max_codepoint=126)


def _named(form: Form) -> str:
    return f"{form.rule} {form.words[0]}"


@pytest.mark.parametrize("form", [form for form in FORMS if form not in _ANY_CASE], ids=_named)
@settings(max_examples=10, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_whatever_has_a_form_has_one_of_its_words(form: Form, data: st.DataObject) -> None:
    text = data.draw(st.from_regex(form.pattern, fullmatch=True, alphabet=ASCII))
    assert form.pattern.search(text)
    beside = "token" if form.rule == "discord-token" else "the"
    assert form in possible(f"{beside} one-of-the-house: {text}")


@pytest.mark.parametrize("form", _ANY_CASE, ids=_named)
def test_words_of_any_case_are_found_as_people_write_them(form: Form) -> None:
    for word in form.words:
        assert form in possible(f"{word} {'x' * 12}")


def test_a_text_without_the_words_has_no_form() -> None:
    assert possible("an ordinary sentence, with an extraordinarily long word") == []


def test_where_no_word_is_long_only_what_is_typed_is_possible() -> None:
    assert {form.rule for form in possible("curl -u ada:pw ghp_ ://")} == {"command-password"}
    assert {"github-token", "url-password"} <= {
        form.rule for form in possible("curl -u ada:pw ghp_ :// and-a-long-word")
    }


def test_what_is_typed_is_judged() -> None:
    assert [form.rule for form in FORMS if form.rule in TYPED and form.exact] == []


def test_a_form_is_given_once_however_many_of_its_words_are_there() -> None:
    found = possible("AKIA ASIA and-a-long-word")
    assert [form.rule for form in found] == ["aws-access-key"]
