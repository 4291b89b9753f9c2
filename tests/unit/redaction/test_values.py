"""What a value is by its looks."""

from __future__ import annotations

import pytest

from khive_supervisor.redaction import labels, values
from khive_supervisor.redaction.labels import Tells


@pytest.mark.parametrize(
    ("value", "random"),
    [
        ("aGVsbG8" + "gd29ybGQx9Z3q", True),
        ("q8Zr2LmN9pQv4StUv6Wx", True),
        ("8f3b9c0d2e7a41f6" + "8f3b9c0d2e7a41f6", True),
        ("get_secret_value_from_store2", False),
        ("MLKEM768X25519PublicKey", False),
        ("short1", False),
        ("onlylettersinhere", False),
        ("1234567890123456789", False),
        ("ada.lovelace1815@example.org", False),
        ("key/f7bc0f8e-1a3a-4ace-9faa-e8494fa3921a", False),
    ],
)
def test_what_is_random(value: str, random: bool) -> None:
    assert values.is_random(value) == random


@pytest.mark.parametrize("value", ["", "a", "aaaa", "0000000000000000"])
def test_little_is_no_secret(value: str) -> None:
    assert not values.is_random(value)
    assert not values.is_password(value)


def test_entropy_is_that_of_signs() -> None:
    assert values.entropy("abcd") == 2.0
    assert values.entropy("aaaa") == 0.0


@pytest.mark.parametrize(
    ("name", "tells"),
    [
        ("password", Tells.PASSWORD),
        ("DB_PASSWD", Tells.PASSWORD),
        ("client_secret", Tells.SECRET),
        ("X-Api-Key", Tells.SECRET),
        ("token_count", Tells.LITTLE),
        ("password_hash", Tells.LITTLE),
        ("key", Tells.LITTLE),
        ("keyboard", None),
        ("public_key", None),
        ("title", None),
    ],
)
def test_what_a_name_tells(name: str, tells: Tells | None) -> None:
    assert labels.told_by(name) == tells
