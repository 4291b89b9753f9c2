"""What everybody may know, by its form or by the name before it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from secret_texts import WORD, some

from khive_supervisor.redaction import identifiers

VALUE = some(WORD, 24)


@pytest.mark.parametrize(
    ("before", "after", "known"),
    [
        ("arn:aws:kms:us-east-1:123456789012:key/", "", True),
        ("arn:aws:s3:::bucket/", "", True),
        ("arn:aws:kms:us-east-1:123456789012:key/x?token=", "", False),
        ("arn:aws:kms:us-east-1:123456789012:key/x ", "", False),
        ("sha256:", "", True),
        ("sha512-", "", True),
        ("mysha256:", "", False),
        ("KeyId: ", "", True),
        ("key_id=", "", True),
        ('"requestId": "', '"', True),
        ('\\"request_id\\":\\"', '\\"', True),
        ("the key id is ", "", True),
        ("with the ID ``", "``", True),
        ("valid: ", "", False),
        ("secret_id=", "", False),
        ("Cookie: id=", "", False),
        ("key_id=x secret=", "", False),
        ("", "(x, y)", True),
        ('<a href="#', '">', True),
        ("[the key](#", ")", True),
        ("see # ", "", False),
        ("", "", False),
    ],
)
def test_what_is_known_by_what_is_around_it(before: str, after: str, known: bool) -> None:
    text = before + VALUE + after
    start = len(before)
    assert identifiers.is_identifier(text, start, start + len(VALUE)) == known


@pytest.mark.parametrize(
    ("value", "known"),
    [
        ("i-0a1b2c3d4e5f67890", True),
        ("ec2-user-07a16060613c408b5", True),
        ("targetgroup/my-targets/73e2d6bc24d8a067", True),
        ("web-7d4b9c6f5d-x2x4z", True),
        ("AROAJIKPFTA72SWU4L7T4", True),
        ("4711-abc.apps.googleusercontent.com", True),
        ("AAAAC3NzaC1lZDI1NTE5AAAAIJ8hRrV5J8mW2bq7eVd3", True),
        ("db-07a16060613c408b5Q", False),
        (VALUE, False),
    ],
)
def test_what_is_known_by_its_form(value: str, known: bool) -> None:
    assert identifiers.is_identifier(value, 0, len(value)) == known


def test_blocks_that_are_made_to_be_shown_end_where_their_base64_does() -> None:
    body = "\n".join(some(WORD, 64) for _ in range(3))
    text = f"x\n-----BEGIN CERTIFICATE-----\n{body}\npassword {VALUE}"
    ((start, end),) = identifiers.public_blocks(text)
    assert text[start:].startswith("-----BEGIN")
    assert text[end:] == f"\npassword {VALUE}"


def test_a_run_of_base64_is_found_around_a_part_of_it() -> None:
    run = some(WORD, 64)
    text = f"a {run} b"
    assert identifiers.base64_around(text, 20, 23) == run
    assert identifiers.base64_around(text, 0, 1) == ""


@given(st.text(max_size=300), st.integers(0, 300), st.integers(0, 300))
def test_any_place_of_any_text_may_be_asked_about(text: str, start: int, length: int) -> None:
    start = min(start, len(text))
    end = min(start + length, len(text))
    assert identifiers.is_identifier(text, start, end) in (True, False)
    assert isinstance(identifiers.base64_around(text, start, end), str)
    assert identifiers.public_blocks(text) == [] or "-----BEGIN" in text
