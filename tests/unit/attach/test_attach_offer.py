"""A session offered to who listens: what each record leads to, and how long is waited for one."""

from __future__ import annotations

import array
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from khive_supervisor import exitcodes
from khive_supervisor.attach import channel
from khive_supervisor.attach.channel import OtherRelease, StartTerms, Unserved

Pair = tuple[socket.socket, socket.socket]


class Left(Exception):
    """This process has left, with an exit code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Waits(Exception):
    """This process has become what waits for the session's end."""


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
def terms() -> StartTerms:
    return StartTerms(None, [])


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The session's memory; nothing of what leaves or becomes another process does so."""
    fd = os.memfd_create("journal")
    monkeypatch.setattr(channel, "JOURNAL", fd)
    monkeypatch.setattr(channel, "INBOX", fd)

    def leave(code: int) -> None:
        raise Left(code)

    def wait(*_given: object) -> None:
        raise Waits

    monkeypatch.setattr(channel, "_exit", leave)
    monkeypatch.setattr(channel, "wait_for_end", wait)
    yield fd
    os.close(fd)


def told(capfd: pytest.CaptureFixture[str]) -> str:
    return capfd.readouterr().err.replace("khive-supervisor attach: ", "")


# --- records --------------------------------------------------------------------------------------


def until_begun(pair: Pair, terms: StartTerms, records: bytes) -> str | None:
    ours, theirs = pair
    theirs.sendall(records)
    theirs.shutdown(socket.SHUT_WR)
    return channel.until_begun(ours, 7, "/s", terms)


@pytest.mark.parametrize("records", [b"W\n", b"T\nW\n", b"T\nM 0 hello\nW\n", b"? 1 x\nW\n"])
def test_a_worker_that_begins_is_waited_for_to_its_end(
    pair: Pair, terms: StartTerms, journal: int, records: bytes
) -> None:
    with pytest.raises(Waits):
        until_begun(pair, terms, records)


def test_what_is_said_meanwhile_reaches_the_client(
    pair: Pair, terms: StartTerms, journal: int, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Waits):
        until_begun(pair, terms, b"M 0 one two\nM 0 \x1b[2J\nW\n")
    assert told(capfd) == "one two\n\\x1b[2J\n"


@pytest.mark.parametrize("records", [b"", b"T\n", b"T\nM 0 x\n", b"T\nhalf a reco"])
def test_an_end_without_a_worker_has_the_caller_look_again(
    pair: Pair, terms: StartTerms, journal: int, records: bytes
) -> None:
    assert until_begun(pair, terms, records) is None


@pytest.mark.parametrize(
    ("record", "path"), [(b"R 0 /other sock\n", "/other sock"), (b"R 0 \n", "")]
)
def test_whom_to_ask_instead_is_told_and_this_attach_does_not_count(
    pair: Pair, terms: StartTerms, journal: int, record: bytes, path: str
) -> None:
    channel.note_attach(journal)
    channel.note_attach(journal)
    assert until_begun(pair, terms, record) == path
    assert channel.futile_attaches(journal) == 1


def test_a_session_that_is_over_leaves_with_its_code(
    pair: Pair, terms: StartTerms, journal: int
) -> None:
    with pytest.raises(Left) as caught:
        until_begun(pair, terms, b"T\nX 3\n")
    assert caught.value.code == 3


# --- refusals -------------------------------------------------------------------------------------


def test_another_release_is_told_apart_without_a_word(
    pair: Pair, terms: StartTerms, journal: int, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(OtherRelease):
        until_begun(pair, terms, b"E %d no\n" % exitcodes.VERSION_MISMATCH)
    assert told(capfd) == ""


@pytest.mark.parametrize("has_session", [False, True])
def test_who_may_take_it_later_is_asked_again(
    pair: Pair, terms: StartTerms, journal: int, capfd: pytest.CaptureFixture[str], *,
    has_session: bool,
) -> None:  # fmt: skip
    os.write(journal, b'H {"id":1}\n' if has_session else b"A\n")
    assert until_begun(pair, terms, b"E %d not now\n" % exitcodes.TEMPORARY) is None
    assert told(capfd) == "not now\n"


def test_who_never_will_ends_a_client_that_has_no_session(
    pair: Pair, terms: StartTerms, journal: int, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Left) as caught:
        until_begun(pair, terms, b"E %d it is not valid\n" % exitcodes.CONFIG)
    assert caught.value.code == exitcodes.CONFIG
    assert told(capfd) == "it is not valid\n"


def test_a_client_that_has_a_session_keeps_it(pair: Pair, terms: StartTerms, journal: int) -> None:
    os.write(journal, b'H {"id":1}\nA\n')
    with pytest.raises(Unserved):
        until_begun(pair, terms, b"E %d it is not valid\n" % exitcodes.CONFIG)


@pytest.mark.parametrize("has_session", [False, True])
def test_another_user_never_gets_the_pipes(
    journal: int, capfd: pytest.CaptureFixture[str], *, has_session: bool
) -> None:
    os.write(journal, b"H x\n" if has_session else b"")
    with pytest.raises(Unserved if has_session else Left):
        channel.refuse("it is of uid 5")
    assert told(capfd) == "it is of uid 5. Set KHIVE_SOCKET to one of yours.\n"


@pytest.mark.parametrize(
    ("pid", "alone", "until", "said"),
    [
        (7, False, None, "supervisor (pid 7) at /s hangs; this session serves itself meanwhile."),
        (0, False, None, "supervisor at /s hangs; this session serves itself meanwhile."),
        (7, True, None, "session that serves others (pid 7) at /s hangs"),
        # In a hurry it is not blamed: it may only be slow.
        (7, False, 5.0, "supervisor (pid 7) at /s hangs; this session serves itself meanwhile."),
    ],
)  # fmt: skip
def test_who_hangs_is_named_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
    pid: int, alone: bool, until: float | None, said: str,
) -> None:  # fmt: skip
    monkeypatch.setattr(channel, "stopped", lambda _pid: False)
    terms = StartTerms(None, [])
    terms.alone, terms.until = alone, until
    assert isinstance(channel.unserved(pid, "/s", terms, "hangs"), Unserved)
    line = told(capfd)
    assert line.startswith(f"the {said}")
    assert ("kill -9" in line) == (pid > 0 and until is None)


def test_one_that_is_stopped_is_blamed_even_in_a_hurry(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(channel, "stopped", lambda pid: pid == 7)
    terms = StartTerms(None, [])
    terms.until = 5.0
    channel.unserved(7, "/s", terms, "hangs")
    assert "kill -CONT 7" in told(capfd)


# --- waiting for a record -------------------------------------------------------------------------


class Silent:
    """A socket on which nothing comes; each look takes as long as it may."""

    def __init__(self, clock: Callable[[], float], more: bytes = b"") -> None:
        self.now = 0.0
        self.waits: list[float] = []
        self.more = more
        self.seconds = 0.0

    def settimeout(self, seconds: float) -> None:
        self.seconds = seconds

    def recv(self, size: int) -> bytes:
        assert size == 1
        if self.now >= 3.0 and self.more:
            byte, self.more = self.more[:1], self.more[1:]
            return byte
        self.waits.append(self.seconds)
        self.now += self.seconds
        raise TimeoutError


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> Silent:
    sock = Silent(float)
    monkeypatch.setattr(channel, "monotonic", lambda: sock.now)
    return sock


@pytest.mark.parametrize(
    ("letter", "slow", "waited"),
    [
        (b"S", 4.0, 4.0),
        (b"", 4.0, 4.0),
        (b"R", 4.0, 16.0),  # it works, or waits for a processor
        (b"D", 4.0, 16.0),
        (b"R", 1.0, 4.0),
        (b"T", 4.0, 0.5),  # it is stopped: nothing is to be waited for
        (b"t", 4.0, 0.5),
    ],
)
def test_a_record_is_waited_for_as_long_as_its_process_shows_signs_of_work(
    quiet: Silent, monkeypatch: pytest.MonkeyPatch, letter: bytes, slow: float, waited: float
) -> None:
    monkeypatch.setattr(channel, "state", lambda _pid: letter)
    assert channel.receive(quiet, 4.0, "waiting", 7, slow) is None  # type: ignore[arg-type]  # as a socket
    assert quiet.now == waited
    assert max(quiet.waits) <= channel.LOOK_EVERY


def test_one_that_goes_on_after_a_moment_is_waited_for(
    quiet: Silent, monkeypatch: pytest.MonkeyPatch
) -> None:
    letters = iter([b"T", b"S", b"T"] * 20)
    monkeypatch.setattr(channel, "state", lambda _pid: next(letters))
    assert channel.receive(quiet, 0.5, "waiting", 7) is None  # type: ignore[arg-type]  # as a socket
    assert quiet.now == 0.5


def test_what_is_waited_for_is_said_once(
    quiet: Silent, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(channel, "state", lambda _pid: b"S")
    quiet.more = b"W\n"
    assert channel.receive(quiet, 20.0, "waiting for it", 7) == b"W"  # type: ignore[arg-type]  # as a socket
    assert told(capfd) == "waiting for it\n"


def test_a_short_wait_ends_without_a_word(
    quiet: Silent, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(channel, "state", lambda _pid: b"S")
    assert channel.receive(quiet, 0.5, "waiting for it", 7) is None  # type: ignore[arg-type]  # as a socket
    assert sum(quiet.waits) == 0.5
    assert told(capfd) == ""


@pytest.mark.parametrize(("over", "found"), [(0, True), (2, False)])
def test_a_record_that_is_too_long_is_the_end(pair: Pair, over: int, *, found: bool) -> None:
    ours, theirs = pair
    record = b"M" * (channel.MAX_RECORD + over)
    sender = threading.Thread(target=theirs.sendall, args=(record + b"\n",))
    sender.start()
    assert channel.receive(ours, 5.0, "", 0) == (record if found else b"")
    ours.close()
    sender.join()


# --- terms ----------------------------------------------------------------------------------------


def test_what_is_left_of_a_time_is_never_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "monotonic", lambda: 100.0)
    terms = StartTerms(None, [])
    assert terms.left(4.0) == 4.0
    for until, left in ((102.0, 2.0), (200.0, 4.0), (100.0, channel.PAUSE), (5.0, channel.PAUSE)):
        terms.until = until
        assert terms.left(4.0) == left


def test_terms_are_words_for_the_process_that_goes_on() -> None:
    ignored = [("KHIVE_CONFIG", "./k.toml"), ("A", "b=c")]
    assert StartTerms(None, []).words() == []
    assert StartTerms("/k.toml", ignored).words() == [
        "--config", "/k.toml", "--ignored", "KHIVE_CONFIG=./k.toml", "--ignored", "A=b=c",
    ]  # fmt: skip
    assert channel.again(StartTerms("/k.toml", []))[1:] == [
        "-P", "-m", "khive_supervisor", "attach", "--again", "--config", "/k.toml",
    ]  # fmt: skip


# --- the offer itself -----------------------------------------------------------------------------


@pytest.fixture
def listener(short: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(short / "s"))
        sock.listen()
        yield sock


class Taken:
    """Who takes one session: its hello and the pipes that come with it, and then a record."""

    def __init__(self, sock: socket.socket, record: bytes) -> None:
        self.hello = b""
        self.descriptors = 0
        self._sock, self._record = sock, record
        self.thread = threading.Thread(target=self._take)
        self.thread.start()

    def _take(self) -> None:
        connection, _ = self._sock.accept()
        with connection:
            size = socket.CMSG_SPACE(5 * 4)
            data, ancillary, _, _ = connection.recvmsg(4, size)
            (length,) = struct.unpack(">I", data)
            while len(self.hello) < length:
                self.hello += connection.recv(length - len(self.hello))
            found = array.array("i", ancillary[0][2])
            self.descriptors = len(found)
            for one in found:
                os.close(one)
            connection.sendall(self._record)


def test_a_session_is_offered_with_its_pipes_and_counted(
    short: Path, listener: socket.socket, terms: StartTerms, journal: int
) -> None:
    taken = Taken(listener, b"T\nW\n")
    with pytest.raises(Waits):
        channel.offer(str(short / "s"), terms)
    taken.thread.join()
    assert b'"kind":"attach"' in taken.hello
    assert taken.descriptors == 5
    assert channel.futile_attaches(journal) == 1


def test_nobody_at_the_socket_has_the_caller_look_again(
    short: Path, terms: StartTerms, journal: int
) -> None:
    assert channel.offer(str(short / "s"), terms) is None
    assert channel.futile_attaches(journal) == 0


def test_a_sandbox_that_forbids_the_socket_leaves_the_session_to_itself(
    short: Path, terms: StartTerms, journal: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_given: object) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(channel, "connected", forbidden)
    with pytest.raises(Unserved):
        channel.offer(str(short / "s"), terms)


def test_a_queue_that_stays_full_is_a_supervisor_that_hangs(
    short: Path, terms: StartTerms, journal: int, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(channel, "connected", lambda *_given: False)
    with pytest.raises(Unserved):
        channel.offer(str(short / "s"), terms)
    assert "accepts no connection; this session serves itself" in told(capfd)


def test_a_full_queue_is_tried_again_until_its_time_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Full:
        """A socket whose queue is full a few times."""

        def __init__(self, times: int) -> None:
            self.times = times

        def connect(self, _path: str) -> None:
            self.times -= 1
            if self.times >= 0:
                raise BlockingIOError

    now = [0.0]
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        now[0] += 1.0

    monkeypatch.setattr(channel, "monotonic", lambda: now[0])
    monkeypatch.setattr(channel, "sleep", sleep)
    assert channel.connected(Full(3), "/s")  # type: ignore[arg-type]  # as a socket
    assert waits == [channel.PAUSE] * 3
    assert not channel.connected(Full(100), "/s")  # type: ignore[arg-type]  # as a socket


def test_one_that_does_not_answer_loses_the_pipes_first(
    pair: Pair, terms: StartTerms, journal: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "receive", lambda *_given: None)
    with pytest.raises(Unserved):
        channel.until_begun(pair[0], 7, "/s", terms)
    with pytest.raises(BrokenPipeError):
        pair[1].send(b"W\n")


def test_one_that_begins_in_the_last_moment_keeps_them(
    pair: Pair, terms: StartTerms, journal: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "receive", lambda *_given: None)
    waits: list[float] = []
    monkeypatch.setattr(channel, "sleep", waits.append)
    pair[1].sendall(b"W\n")
    assert channel.until_begun(pair[0], 7, "/s", terms) is None
    assert waits == [channel.LONGEST_PAUSE]


# --- memory ---------------------------------------------------------------------------------------


def test_memory_has_the_number_that_it_is_asked_for_and_is_inherited() -> None:
    number = os.dup(0)
    channel.open_memory(number)
    try:
        assert os.get_inheritable(number)
        assert os.fstat(number).st_nlink == 0
        assert channel.futile_attaches(number) == 0
        channel.forget_attach(number)  # nothing is taken of what is empty
        channel.note_attach(number)
        channel.forget_attach(number)
        assert os.fstat(number).st_size == 0
    finally:
        os.close(number)
