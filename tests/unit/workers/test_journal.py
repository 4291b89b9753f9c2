"""The journal: what one worker owes, the next one knows."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from khive_workers.session.journal import Journal

HANDSHAKE = b'{"jsonrpc":"2.0","id":1,"method":"initialize"}'


@pytest.fixture
def fd() -> Iterator[int]:
    number = os.memfd_create("test")
    yield number
    os.close(number)


def test_a_new_journal_is_empty(fd: int) -> None:
    journal = Journal(fd)
    assert (journal.handshake, journal.owed) == (b"", [])


def test_what_the_client_wants_to_hear_of_outlives_the_worker(fd: int) -> None:
    lines = [
        b'{"id":%d,"method":"resources/subscribe","params":{"uri":"khive://%d"}}' % (n, n)
        for n in range(3)
    ]
    first = Journal(fd)
    first.shake_hands(HANDSHAKE)
    first.receive(7)
    for line in lines:
        first.subscribe(line)
    first.subscribe(b'{"id":9,"method":"resources/unsubscribe","params":{"uri":"khive://1"}}')
    first.subscribe(b'{"id":"s","method":"subscriptions/listen","params":{}}')
    first.subscribe(b"no request")
    second = Journal(fd)
    assert (second.handshake, second.owed) == (HANDSHAKE, [7])
    assert second.standing[:2] == [lines[0], lines[2]]
    second.answer("s")
    second.answer(7)
    third = Journal(fd)
    assert (third.owed, third.standing) == ([], [lines[0], lines[2]])
    third.rest()
    assert Journal(fd).standing == [lines[0], lines[2]]


def test_the_handshake_and_what_is_owed_outlive_the_worker(fd: int) -> None:
    first = Journal(fd)
    first.receive("early")
    first.shake_hands(HANDSHAKE)
    first.receive(7)
    first.answer("early")
    second = Journal(fd)
    assert (second.handshake, second.owed) == (HANDSHAKE, [7])
    second.shake_hands(HANDSHAKE)
    second.answer(7)
    assert (Journal(fd).handshake, Journal(fd).owed) == (HANDSHAKE, [])


def test_it_does_not_grow_while_everything_is_answered(fd: int) -> None:
    journal = Journal(fd)
    journal.shake_hands(HANDSHAKE)
    size = os.fstat(fd).st_size
    for number in range(1000):
        journal.receive(number)
        journal.answer(number)
    assert os.fstat(fd).st_size == size


def test_a_line_that_was_cut_off_is_left_out(fd: int) -> None:
    journal = Journal(fd)
    journal.shake_hands(HANDSHAKE)
    journal.receive(1)
    os.pwrite(fd, b"I 2", os.fstat(fd).st_size)
    again = Journal(fd)
    assert again.owed == [1]
    again.receive(3)
    assert Journal(fd).owed == [1, 3]


steps = st.lists(st.tuples(st.booleans(), st.integers(0, 5) | st.text(max_size=3)), max_size=40)


@given(steps, st.integers(0, 40))
def test_any_history_agrees_with_a_model(history: list[tuple[bool, int | str]], cut: int) -> None:
    """Workers may change at any step."""
    fd = os.memfd_create("test")
    journal, owed = Journal(fd), dict[str, int | str]()
    for position, (come, identifier) in enumerate(history):
        if position == cut:
            journal = Journal(fd)
        if come:
            journal.receive(identifier)
            owed[json.dumps(identifier)] = identifier
        else:
            journal.answer(identifier)
            owed.pop(json.dumps(identifier), None)
        assert journal.owed == Journal(fd).owed == list(owed.values())
    os.close(fd)
