"""The gate: who is refused, what is masked, and that nobody is told a value."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from secret_texts import SECRET

from khive_supervisor.errors import InvalidInput, SecretFound, from_dict
from khive_supervisor.redaction import gate as gates
from khive_supervisor.redaction.gate import NAMED, Mode, TextGate

TEXT = f"one\nthe token is {SECRET}."


def test_what_is_said_is_refused_with_its_place_and_rule() -> None:
    with pytest.raises(SecretFound) as refused:
        TextGate().said(TEXT, "content")
    assert "content, line 2, column 14 (github-token)" in refused.value.message
    assert SECRET not in str(refused.value)
    assert isinstance(from_dict(refused.value.as_dict()), SecretFound)
    assert isinstance(refused.value, InvalidInput)


def test_what_programs_write_is_masked() -> None:
    assert TextGate().written(TEXT) == "one\nthe token is [masked github-token]."


@pytest.mark.parametrize("mode", ["mask", "off"])
def test_other_modes_refuse_nothing(mode: str) -> None:
    said = TextGate(mode).said(f"<private>x</private>{TEXT}", "content")
    assert (SECRET in said) == (mode == "off")
    assert "private" not in said


def test_many_places_are_counted() -> None:
    with pytest.raises(SecretFound, match="and 2 more"):
        TextGate().said("\n".join(f"{n} {SECRET}" for n in range(7)), "content")


def test_what_was_refused_once_is_refused_again() -> None:
    gate = TextGate()
    for _ in range(2):
        with pytest.raises(SecretFound):
            gate.said(TEXT, "content")


def test_texts_that_have_passed_are_forgotten_in_time() -> None:
    gate = TextGate()
    for number in range(30_000):
        gate.written(f"text {number}")
    assert len(gate._passed) + len(gate._passed_before) < 20_000


DATA: dict[str, Any] = {
    "command": ["deploy", f"--token={SECRET}"],
    "environment": {"API_TOKEN": SECRET, "LEVEL": "debug"},
    "count": 3,
    "nested": [{"password": "Copper" + "Falcon77"}],
    "none": None,
}


def test_data_is_masked_text_by_text() -> None:
    kept = TextGate().written_data(DATA)
    assert SECRET not in json.dumps(kept)
    assert kept["environment"] == {"API_TOKEN": "[masked assigned-secret]", "LEVEL": "debug"}
    assert kept["nested"] == [{"password": "[masked assigned-secret]"}]
    assert (kept["count"], kept["none"], kept["command"][0]) == (3, None, "deploy")


def test_data_is_refused_with_the_names_of_its_fields() -> None:
    with pytest.raises(SecretFound) as refused:
        TextGate().said_data(DATA, "payload")
    assert "payload.environment.API_TOKEN, line 1, column 1" in refused.value.message
    assert "payload.command.1" in refused.value.message
    assert SECRET not in str(refused.value)


def test_a_secret_that_is_a_field_s_name_is_not_told_either() -> None:
    with pytest.raises(SecretFound) as refused:
        TextGate().said_data({SECRET: SECRET}, "payload")
    assert SECRET not in str(refused.value)
    assert SECRET not in json.dumps(TextGate().written_data({SECRET: 1}))


def test_private_spans_of_data_are_cut() -> None:
    assert TextGate("off").said_data({"a": ["x <private>y</private>"]}, "payload") == {"a": ["x "]}


PLAIN = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(), st.just(SECRET)),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    max_leaves=10,
)


@given(PLAIN)
def test_masking_data_twice_is_masking_it_once(data: Any) -> None:
    gate = TextGate(Mode.MASK)
    once = gate.written_data(data)
    assert gate.written_data(once) == once
    assert SECRET not in json.dumps(once)


@pytest.mark.parametrize("count", [NAMED, NAMED + 1])
def test_only_those_that_are_not_named_are_counted(count: int) -> None:
    with pytest.raises(SecretFound) as refused:
        TextGate().said("\n".join(f"{n} {SECRET}" for n in range(count)), "content")
    assert ("more" in refused.value.message) == (count > NAMED)
    assert refused.value.message.count("github-token") == NAMED


@pytest.mark.parametrize(("value", "masked"), [("Cu7#x", False), ("Cu7#xy", True)])
def test_a_value_of_six_signs_may_be_a_secret_by_its_name(value: str, masked: bool) -> None:
    kept = TextGate().written_data({"password": value})
    assert (kept["password"] != value) == masked


def test_what_was_made_of_a_text_that_has_passed_has_passed() -> None:
    gate = TextGate()
    gate.written("an ordinary text")
    before = len(gate._passed)
    assert gate.derived("a text", "an ordinary text") == "a text"
    assert len(gate._passed) == before + 1
    assert gate.derived("another text", "never seen") == "another text"
    assert len(gate._passed) == before + 1


def test_what_has_passed_is_known_through_one_change_of_the_memory_of_it() -> None:
    gate = TextGate()
    for number in range(gates._PASSED + 1):
        gate.passed(f"text {number}")
    assert not gate._passed
    assert gate._has_passed(hash("text 0"))
    gate.passed("one more")
    assert gate._has_passed(hash("one more"))
    assert not gate._has_passed(hash("never seen"))
