"""What a value is by its looks."""

from __future__ import annotations

import pytest

from khive_supervisor.redaction import values


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
        # Hexadecimal digits: 24 of them, and more than 2.8 bits each.
        ("0123abcd" * 3, True),
        ("0123abcd" * 2 + "0123abc", False),
        ("a" * 20 + "1111", False),
        # An address has both signs.
        ("aB3.dE5fG7hI9jK1m", True),
        ("aB3@dE5fG7hI9jK1m", True),
        ("aB3@dE5.fG7hI9jK1m", False),
        # Three bits each are enough.
        ("gX7kQ2zW" * 2, True),
        ("gX7kQ2z" * 3, False),
        # Digits, or a fifth of the letters begins anew in capitals; no letters are a number.
        ("12-34-56-78-90-13-57", False),
        ("aBcDeFgHiJkLmNoP", True),
        ("xqzvBkjwpDghtmFlsrnG", True),
        ("xqzvBkjwpDghtmFx", False),
    ],
)
def test_what_is_random(value: str, random: bool) -> None:
    assert values.is_random(value) == random


@pytest.mark.parametrize("value", ["", "a", "aaaa", "0000000000000000"])
def test_little_is_no_secret(value: str) -> None:
    assert not values.is_random(value)
    assert not values.is_password(value)


@pytest.mark.parametrize(
    ("value", "reads"),
    [
        # Five turns between letters and digits, and one among five signs at least.
        ("x1tomatotomatoes2carrots3", False),
        ("x1tomatotomatoes2carrotss3", True),
        ("tomatoes1tomatoes2carrots", True),
        # Every second sign is of another kind than the one before.
        ("Ab1Cd2Ef", False),
        # Nine twentieths of the letters and digits are words, or long numbers.
        ("tomatoes-qxzvqxzvqx", False),
        ("tomatoestomatoes-qxzvqxzvqx", True),
        ("tomatoest-qxzvqxzvqxz", True),
        ("tomatoes-qxzvqxzvqxz", False),
        ("12345-qxzvqx", True),
        ("1234-qxzvq", False),
    ],
)
def test_what_reads_like_words(value: str, reads: bool) -> None:
    assert values._is_read(value) == reads


@pytest.mark.parametrize(
    ("part", "word"),
    [
        ("12345", True),
        ("1234", False),
        ("tree", True),
        ("tre", False),
        ("Tre", True),
        ("Tr", False),
        ("brand", True),  # a vowel in five letters
        ("brands", False),
        ("aeiouyants", True),  # seven in ten
        ("aeiouyant", False),
        ("queen", True),
        ("qat", False),
    ],
)
def test_what_may_be_a_word(part: str, word: bool) -> None:
    assert values._is_wordlike(part) == word


@pytest.mark.parametrize(
    ("value", "password"),
    [
        ("abc12", False),  # too short
        ("abc123", True),
        ("a1" * 100, True),
        ("a1" * 100 + "b", False),  # too long
        ("sha256", False),  # a method
        ("abcdef", False),
        ("123456", False),
        ("12345!", False),  # no letter
        ("Abcdef!", True),
        ("ABC!def", True),
        ("aaaaa!", False),
        ("abcdeF", False),
        ("!!!!!A1", True),
        ("!!!!!a1", True),
        ("Sha256", True),  # three kinds are enough for a method's name, too
    ],
)
def test_what_a_person_may_have_thought_up(value: str, password: bool) -> None:
    assert values.is_password(value) == password


@pytest.mark.parametrize(
    ("value", "example"),
    [("abab", True), ("abcabc", True), ("abcd", False), ("AKIAIOSFODNN7EXAMPLE", True)],
)
def test_less_than_four_signs_are_an_example(value: str, example: bool) -> None:
    assert values.is_example(value) == example
    assert values.is_blank(value) == example


def test_entropy_is_that_of_signs() -> None:
    assert values.entropy("abcd") == 2.0
    assert values.entropy("aaaa") == 0.0
