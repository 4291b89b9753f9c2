"""Starting a supervisor for many sessions: one starts, the others wait, and nobody for ever."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from khive_supervisor import exitcodes
from khive_supervisor.attach import reserve, start
from khive_supervisor.attach.channel import OtherRelease, StartTerms, Unserved
from khive_supervisor.host import paths


@pytest.fixture
def terms() -> StartTerms:
    return StartTerms(None, [])


class Time:
    """A clock that goes on only while somebody waits."""

    def __init__(self) -> None:
        self.now = 100.0
        self.then: Callable[[], None] = lambda: None

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.then()


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    clock = Time()
    for module in (start, reserve):
        monkeypatch.setattr(module, "monotonic", clock)
        monkeypatch.setattr(module, "sleep", clock.sleep)
    return clock


# --- locks ----------------------------------------------------------------------------------------


def test_a_lock_is_one_s_at_a_time(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    first = reserve.lock(path)
    assert first > 0
    assert reserve.lock(path) == 0
    os.close(first)
    second = reserve.lock(path)
    assert second > 0
    os.close(second)
    assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o600


def test_a_lock_is_no_link_and_no_one_else_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError):  # noqa: PT011 - the system's own
        reserve.lock(str(tmp_path / "link"))
    assert not (tmp_path / "elsewhere").exists()
    monkeypatch.setattr(reserve, "getuid", lambda: os.getuid() + 1)
    with pytest.raises(PermissionError, match="another user"):
        reserve.lock(str(tmp_path / "lock"))


def test_a_path_names_a_file_until_that_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    turn = reserve.lock(str(path))
    assert start.is_at(turn, str(path))
    path.unlink()
    assert not start.is_at(turn, str(path))
    path.touch()
    assert not start.is_at(turn, str(path))
    os.close(turn)


# --- one of many ----------------------------------------------------------------------------------


@pytest.fixture
def reachable(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether somebody listens: the last of what is in it."""
    found = [False]
    monkeypatch.setattr(start, "any_reachable", lambda _terms: found[-1])
    return found


def turn_of(
    path: Path, terms: StartTerms, until: float = 200.0, whoever: bool = False
) -> int | None:
    return start.take_turn(str(path), until, whoever, terms)


def test_the_first_of_many_starts(
    tmp_path: Path, terms: StartTerms, time: Time, reachable: list[bool]
) -> None:
    turn = turn_of(tmp_path / "lock", terms)
    assert turn is not None
    assert turn > 0
    os.close(turn)


@pytest.mark.parametrize("whoever", [False, True])
def test_nobody_starts_what_listens_unless_it_is_to_be_replaced(
    tmp_path: Path, terms: StartTerms, time: Time, reachable: list[bool], *, whoever: bool
) -> None:
    reachable.append(True)
    turn = turn_of(tmp_path / "lock", terms, whoever=whoever)
    assert (turn is not None) == whoever
    if turn is not None:
        os.close(turn)
    again = reserve.lock(str(tmp_path / "lock"))  # nobody holds it
    assert again > 0
    os.close(again)


def test_the_others_wait_until_somebody_listens(
    tmp_path: Path, terms: StartTerms, time: Time, reachable: list[bool],
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    held = reserve.lock(str(tmp_path / "lock"))
    time.then = lambda: reachable.append(time.now > 105.0)
    assert turn_of(tmp_path / "lock", terms) is None
    os.close(held)
    assert time.now == pytest.approx(105.0, abs=0.1)
    assert capfd.readouterr().err.count("another session starts") == 1


def test_nobody_waits_for_ever(
    tmp_path: Path, terms: StartTerms, time: Time, reachable: list[bool]
) -> None:
    held = reserve.lock(str(tmp_path / "lock"))
    assert turn_of(tmp_path / "lock", terms, until=110.0) is None
    os.close(held)
    assert time.now == pytest.approx(110.0, abs=0.1)


def test_who_waits_starts_when_the_first_one_failed(
    tmp_path: Path, terms: StartTerms, time: Time, reachable: list[bool]
) -> None:
    path = tmp_path / "lock"
    held = [reserve.lock(str(path))]

    def fails() -> None:
        if held:
            path.unlink()
            os.close(held.pop())

    time.then = fails
    turn = turn_of(path, terms)
    assert turn is not None
    assert start.is_at(turn, str(path))
    os.close(turn)


@pytest.mark.parametrize(("left", "starts"), [(0.9, False), (1.0, True)])
def test_a_start_that_nobody_could_wait_for_is_not_begun(
    tmp_path: Path, terms: StartTerms, time: Time, reachable: list[bool], left: float, *,
    starts: bool,
) -> None:  # fmt: skip
    terms.until = time.now + left
    turn = turn_of(tmp_path / "lock", terms)
    assert (turn is not None) == starts
    if turn is not None:
        os.close(turn)


def test_without_a_lock_everybody_starts(
    tmp_path: Path, terms: StartTerms, time: Time, reachable: list[bool],
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert turn_of(tmp_path / "nowhere" / "lock", terms) == -1
    assert "does not wait for others' starts" in capfd.readouterr().err


# --- what became of a start -----------------------------------------------------------------------


class Left(Exception):
    """This process has left."""


class Alone(Exception):
    """This process serves its session by itself."""


@pytest.fixture
def started(
    short: Path, terms: StartTerms, time: Time, reachable: list[bool],
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., bool]:  # fmt: skip
    """Starts one, with what its start tells."""

    def run(socket: str = "", code: int = 0, *, resumed: bool = False) -> bool:
        monkeypatch.setattr(start, "run_start", lambda _terms, _until: (socket, code))
        monkeypatch.setattr(start, "resumed", lambda: resumed)
        return start.start(terms, 200.0, False)

    def leave(code: int) -> None:
        raise Left(code)

    def alone(_terms: StartTerms) -> None:
        raise Alone

    monkeypatch.setattr(start.paths, "socket_path", lambda _config: str(short / "run" / "s"))
    monkeypatch.setattr(start, "_exit", leave)
    monkeypatch.setattr(start, "serve_alone", alone)
    return run


def test_a_supervisor_that_was_started_is_offered_the_session(
    started: Callable[..., bool], monkeypatch: pytest.MonkeyPatch, short: Path
) -> None:
    offered: list[str] = []
    monkeypatch.setattr(start, "offer", lambda path, _terms: offered.append(path))
    assert not started("/run/s")
    assert offered == ["/run/s"]
    assert list((short / "run").iterdir()) == []  # whoever waits may have a turn


@pytest.mark.parametrize("code", start.LASTING)
def test_what_only_the_user_can_mend_ends_a_client_without_a_session(
    started: Callable[..., bool], code: int, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Left) as caught:
        started(code=code)
    assert caught.value.args == (code,)
    assert "its message is above" in capfd.readouterr().err
    assert started(code=code, resumed=True)  # one with a session goes on looking


@pytest.mark.parametrize("code", start.HOPELESS)
@pytest.mark.parametrize("resumed", [False, True])
def test_what_another_start_would_meet_again_leaves_the_session_to_itself(
    started: Callable[..., bool], code: int, *, resumed: bool
) -> None:
    with pytest.raises(Alone):
        started(code=code, resumed=resumed)


@pytest.mark.parametrize(
    ("code", "failed"), [(exitcodes.FAILURE, True), (exitcodes.OK, False), (-1, False)]
)
def test_a_start_that_failed_by_itself_is_told(
    started: Callable[..., bool], code: int, *, failed: bool
) -> None:
    assert started(code=code) == failed


def test_a_socket_that_can_have_no_directory_leaves_the_session_to_itself(
    started: Callable[..., bool], short: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    (short / "file").touch()
    path = str(short / "file" / "run" / "s")
    monkeypatch.setattr(start.paths, "socket_path", lambda _config: path)
    with pytest.raises(Alone):
        started()
    assert "Set KHIVE_SOCKET to another path" in capfd.readouterr().err


# --- what a start tells ---------------------------------------------------------------------------


@pytest.fixture
def word() -> Iterator[tuple[start.Word, int]]:
    told, tell = os.pipe()
    yield start.Word(told), tell
    os.close(told)


@pytest.mark.parametrize(
    ("said", "line"),
    [
        (b"pid 7\nsocket /run/s\n", "socket /run/s"),
        (b"socket /run/a b\n", "socket /run/a b"),
        (b"pid 7\nexit 3\n", "exit 3"),
        (b"pid 7\n", ""),
        (b"pid 7\nsock", ""),
        (b"", ""),
    ],
)
def test_the_last_line_of_a_start_says_how_it_went(
    word: tuple[start.Word, int], said: bytes, line: str
) -> None:
    found, tell = word
    os.write(tell, said)
    os.close(tell)
    assert found.wait(start.monotonic() + 60.0) == line


def test_a_start_that_says_nothing_is_not_waited_for_any_longer(
    word: tuple[start.Word, int],
) -> None:
    found, tell = word
    os.write(tell, b"pid 7\n")
    assert found.wait(start.monotonic() - 1.0) is None
    os.close(tell)


def test_a_start_that_is_stopped_is_ended(
    word: tuple[start.Word, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    found, tell = word
    ended: list[int] = []

    def kill(pid: int, _signal: int) -> None:
        ended.append(pid)
        os.close(tell)

    monkeypatch.setattr(start, "LOOK_EVERY", 0.0)
    monkeypatch.setattr(start, "stopped", lambda _pid: True)
    monkeypatch.setattr(start, "kill", kill)
    os.write(tell, b"pid 7\n")
    assert found.wait(start.monotonic() + 60.0) == ""
    assert ended == [7]


def test_what_a_session_is_known_by_is_not_everybody_s(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {b"KHIVE_ACTOR": b"ada", b"NOTIFY_SOCKET": b"/n", b"CLAUDECODE": b"1", b"PATH": b"/bin"}
    monkeypatch.setattr(start, "environ", given)
    assert start.environ_of_all() == {b"PATH": b"/bin"}


def test_what_is_gone_already_is_discarded(tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    for _ in range(2):
        start.discard(str(tmp_path / "f"))
    assert not (tmp_path / "f").exists()


# --- the reserve ----------------------------------------------------------------------------------


@pytest.fixture
def path(short: Path) -> str:
    return str(short / "run" / "alone")


def test_who_becomes_the_reserve_is_named(path: str) -> None:
    assert reserve.named(path) == 0
    turn = reserve.take(path)
    assert turn > 0
    assert os.get_inheritable(turn)
    assert reserve.named(path) == os.getpid()
    assert reserve.take(path) == 0
    os.close(turn)


@pytest.mark.parametrize(
    ("text", "pid"), [("", 0), ("12", 12), ("12\n34", 12), ("x", 0), ("-3", 0)]
)
def test_a_name_that_is_none_is_nobody(path: str, text: str, pid: int) -> None:
    Path(path).parent.mkdir()
    Path(path + ".lock").write_text(text)
    assert reserve.named(path) == pid


def test_a_reserve_that_cannot_be_had_is_none(short: Path) -> None:
    (short / "run").write_text("in the way")
    assert reserve.take(str(short / "run" / "alone")) == -1
    assert reserve.be_or_find(str(short / "run" / "alone")) == -1


def test_somebody_listens_or_not(short: Path) -> None:
    assert not reserve.listens(str(short / "s"))
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(short / "s"))
        assert not reserve.listens(str(short / "s"))
        sock.listen(0)
        assert reserve.listens(str(short / "s"))
        assert reserve.listens(str(short / "s"))  # also while its queue is full
    assert not reserve.listens(str(short / "s"))


def test_a_reserve_is_waited_for_until_it_listens(
    path: str, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = reserve.take(path)
    monkeypatch.setattr(reserve, "listens", lambda _path: time.now > 102.0)
    assert reserve.be_or_find(path) is None
    assert time.now == pytest.approx(102.0, abs=0.1)
    os.close(held)


@pytest.mark.parametrize(("stopped", "waited"), [(True, 0.0), (False, reserve.LISTENS_WITHIN)])
def test_a_reserve_that_does_not_listen_is_given_up(
    path: str, time: Time, monkeypatch: pytest.MonkeyPatch, waited: float, *, stopped: bool
) -> None:
    held = reserve.take(path)
    monkeypatch.setattr(reserve, "stopped", lambda pid: stopped and pid == os.getpid())
    assert reserve.be_or_find(path) == -1
    assert time.now - 100.0 == pytest.approx(waited, abs=0.1)
    os.close(held)


@pytest.fixture
def offers(path: str, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What each offer to a reserve comes to; none left: one becomes the reserve."""
    results: list[object] = []

    def offer(_path: str, _terms: StartTerms) -> None:
        found = results.pop(0)
        if isinstance(found, Exception):
            raise found

    monkeypatch.setattr(reserve, "socket_path", lambda: path)
    monkeypatch.setattr(reserve, "be_or_find", lambda _path: None if results else 55)
    monkeypatch.setattr(reserve.holder, "unsafe", lambda _path: None)
    monkeypatch.setattr(reserve, "offer", offer)
    return results


def test_a_reserve_that_ended_just_now_is_followed_by_the_next(
    terms: StartTerms, offers: list[object]
) -> None:
    offers += [None, None]
    terms.until = 5.0
    assert reserve.reserved(terms) == 55
    assert (terms.alone, terms.until) == (True, None)


@pytest.mark.parametrize("error", [OtherRelease(), Unserved()])
def test_a_reserve_that_does_not_serve_leaves_the_session_to_itself(
    terms: StartTerms, offers: list[object], error: Exception
) -> None:
    offers += [error, None]
    assert reserve.reserved(terms) == -1
    assert offers == [None]


def test_reserves_are_tried_a_few_times_only(terms: StartTerms, offers: list[object]) -> None:
    offers += [None] * 20
    assert reserve.reserved(terms) == -1
    assert len(offers) == 20 - reserve.RESERVES


def test_a_reserve_is_asked_once(terms: StartTerms, offers: list[object]) -> None:
    terms.alone = True
    assert reserve.reserved(terms) == -1


def test_a_place_that_is_not_ours_is_offered_nothing(
    terms: StartTerms, offers: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    offers.append(None)
    monkeypatch.setattr(reserve.holder, "unsafe", lambda _path: "others can write there")
    assert reserve.reserved(terms) == -1
    assert offers == [None]


@pytest.mark.parametrize(
    ("memory", "turn", "words"),
    [
        (False, 55, []),
        (True, -1, ["--journal", "8", "--inbox", "7"]),
        (True, 55, ["--journal", "8", "--inbox", "7", "--reserve", "55"]),
    ],
)
def test_who_serves_alone_goes_on_with_what_it_has(
    monkeypatch: pytest.MonkeyPatch, turn: int, words: list[str], *, memory: bool
) -> None:
    ran: list[list[str]] = []
    monkeypatch.setattr(reserve, "has_memory", lambda: memory)
    monkeypatch.setattr(reserve, "reserved", lambda _terms: turn)
    monkeypatch.setattr(reserve, "execv", lambda _program, argv: ran.append(argv[4:]))
    reserve.serve_alone(StartTerms("/k.toml", []))
    known_by = ["--instead-of", paths.socket_path("/k.toml")]
    assert ran == [["--standalone", *known_by, *words, "--config", "/k.toml"]]
