"""The session channel: acknowledgements, and who has the client's pipes when one gives up."""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from khive_workers.common import runtime

from khive_supervisor.attach import channel
from khive_supervisor.attach import command as attach
from khive_supervisor.cli.connection.starting import LISTENING, READY, Announcement
from khive_supervisor.errors import NotRunning

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


@given(st.lists(st.sampled_from(["take", "begin", "give up"]), min_size=1, max_size=4))
def test_exactly_one_has_the_pipes_whatever_comes_first(
    steps: list[str],
) -> None:
    """A worker serves if and only if attach knows that it has begun."""
    ours, theirs = socket.socketpair()
    begun = late = given_up = False
    with ours, theirs:
        for step in steps:
            if step == "take" and not begun:
                runtime.begin(theirs.fileno(), b"T\n")
            elif step == "begin" and not begun:
                begun = runtime.begin(theirs.fileno(), b"W\n")
            elif step == "give up" and not given_up:
                given_up = True
                monkey, channel.LONGEST_PAUSE = channel.LONGEST_PAUSE, 0.0
                try:
                    late = channel.has_begun_after_all(ours)
                finally:
                    channel.LONGEST_PAUSE = monkey
        if given_up and steps.count("take") <= 1:
            assert late == begun
        elif begun and not given_up:
            assert b"W\n" in ours.recv(64)


def test_records_are_read_one_by_one(pair: Pair) -> None:
    ours, theirs = pair
    theirs.sendall(b"T\nM 0 one two\nW\n")
    theirs.close()
    read = [channel.receive(ours, 1.0, "", 0) for _ in range(4)]
    assert read == [b"T", b"M 0 one two", b"W", b""]


def test_a_process_that_is_stopped_is_known() -> None:
    assert channel.state(os.getpid()) == b"R"
    assert not channel.stopped(os.getpid())
    assert channel.state(2**30) == b""


@pytest.mark.parametrize("attempt", [0, 1, 5, 100, 10**6])
def test_pauses_grow_and_end(attempt: int) -> None:
    assert channel.PAUSE <= attach.pause(attempt) <= channel.LONGEST_PAUSE
    assert attach.pause(attempt) <= attach.pause(attempt + 1)
    assert 1.0 <= attach.busy() <= attach.BUSIEST


# --- what a supervisor says to its starter --------------------------------------------------------


def test_a_supervisor_ends_if_nobody_waits_when_it_could_listen() -> None:
    told, tell = os.pipe()
    announcement = Announcement(tell)
    announcement.check()
    os.close(told)
    for step in (announcement.check, announcement.listening):
        with pytest.raises(NotRunning, match="Nobody waits"):
            step()
    assert not announcement.said
    os.close(tell)


def test_once_it_listens_its_starter_may_leave() -> None:
    told, tell = os.pipe()
    announcement = Announcement(tell, LISTENING)
    announcement.listening()
    assert announcement.said
    assert select.select([told], [], [], 1)[0]
    assert os.read(told, 16) == LISTENING != READY
    os.close(told)
    os.close(tell)


def test_what_attach_says_holds_nothing_that_a_terminal_obeys(
    capfd: pytest.CaptureFixture[str],
) -> None:
    channel.say("/tmp/q\x1b]0;o\x07\u202e\x9b31m\udcff ü\nnext")
    said = capfd.readouterr().err
    assert said == ("khive-supervisor attach: /tmp/q\\x1b]0;o\\x07\\u202e\\x9b31m\\udcff ü\nnext\n")
