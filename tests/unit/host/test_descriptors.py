"""Descriptors that come over a socket: all of them, and for this process alone."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from khive_supervisor.host import descriptors


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_what_is_received_is_closed_on_exec(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    reading, writing = os.pipe()
    os.set_inheritable(reading, True)
    socket.send_fds(theirs, [b"hello"], [reading, writing])
    data, found = descriptors.receive(ours, 100, 2)
    assert data == b"hello"
    assert [os.get_inheritable(fd) for fd in found] == [False, False]
    os.write(found[1], b"x")
    assert os.read(reading, 1) == b"x"
    for fd in (reading, writing, *found):
        os.close(fd)


def test_more_than_are_wanted_are_not_kept(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    before = len(os.listdir("/dev/fd"))
    null = os.open(os.devnull, os.O_RDONLY)
    socket.send_fds(theirs, [b"hello"], [null] * 4)
    os.close(null)
    _, found = descriptors.receive(ours, 100, 1)
    for fd in found:
        os.close(fd)
    assert len(os.listdir("/dev/fd")) == before


def test_nobody_waits_who_is_not_to(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    with pytest.raises(BlockingIOError):
        descriptors.receive(ours, 100, 1, wait=False)
    theirs.send(b"x")
    assert descriptors.receive(ours, 100, 1, wait=False) == (b"x", [])
    theirs.close()
    assert descriptors.receive(ours, 100, 1) == (b"", [])
