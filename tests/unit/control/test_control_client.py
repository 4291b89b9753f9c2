"""The control socket's client: what it sends, whom it trusts, what it says if nobody answers."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from khive_supervisor import __version__, exitcodes
from khive_supervisor.control import client, protocol
from khive_supervisor.errors import (
    Denied,
    InvalidInput,
    KhiveError,
    NotFound,
    NotRunning,
    OtherStore,
    ProtocolError,
    Unresponsive,
    VersionMismatch,
)
from khive_supervisor.host import paths

#: What a script does with a connection: it reads with `receive` and writes what it likes.
Script = Callable[[protocol.Connection], None]


class Listener:
    """Answers one connection by a script, in a thread, and keeps all that was received."""

    def __init__(self, path: Path, script: Script) -> None:
        self.received: list[dict[str, Any]] = []
        self._script = script
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        try:
            sock, _ = self._socket.accept()
        except OSError:  # nobody came
            return
        with protocol.Connection(sock) as connection:
            receive = connection.receive

            def kept() -> dict[str, Any] | None:
                message = receive()
                if message is not None:
                    self.received.append(message)
                return message

            connection.receive = kept  # type: ignore[method-assign]  # the script's messages are kept
            with contextlib.suppress(ConnectionError):  # who has asked may leave at any time
                self._script(connection)

    def end(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()


Listen = Callable[[Script], str]


@pytest.fixture
def listeners() -> Iterator[list[Listener]]:
    """The listeners of a test."""
    made: list[Listener] = []
    yield made
    for one in made:
        one.end()


@pytest.fixture
def listen(short: Path, listeners: list[Listener]) -> Listen:
    """Starts a listener, and returns the path of its socket."""

    def start(script: Script) -> str:
        path = short / f"s{len(listeners)}"
        listeners.append(Listener(path, script))
        return str(path)

    return start


def answering(*answers: dict[str, Any], hello: dict[str, Any] | None = None) -> Script:
    """A supervisor: it answers the ping, then the request with all of `answers`, and waits."""

    def serve(connection: protocol.Connection) -> None:
        connection.receive()
        connection.receive()
        connection.send(hello or {"id": 0, "result": {}})
        if connection.receive() is None:
            return
        for answer in answers:
            connection.send(answer)
        connection.receive()

    return serve


def silent(connection: protocol.Connection) -> None:
    """Hears, and says nothing."""
    while connection.receive() is not None:
        pass


def test_a_conversation_begins_with_a_hello_and_a_ping(
    listen: Listen, listeners: list[Listener]
) -> None:
    path = listen(answering({"id": 1, "result": {"pid": 5}}))
    with client.ControlClient(path, cwd="/src") as supervisor:
        assert supervisor.request("status", {"all": True}) == {"pid": 5}
    listeners[0].end()
    hello, ping, request = listeners.pop().received
    assert (hello["kind"], hello["release"], hello["cwd"]) == ("control", __version__, "/src")
    assert (ping["id"], ping["op"]) == (0, "ping")
    assert request == {"v": 1, "id": 1, "op": "status", "args": {"all": True}}


def test_a_worker_is_asked_to_say_that_it_is_there(
    listen: Listen, listeners: list[Listener]
) -> None:
    def worker(connection: protocol.Connection) -> None:
        connection.receive()
        connection.send({"ready": True})
        connection.receive()
        connection.send({"id": 1, "result": {"x": 1}})

    with client.ControlClient(listen(worker), "verbs") as found:
        assert found.request("verb") == {"x": 1}
    listeners[0].end()
    hello, request = listeners.pop().received
    assert (hello["kind"], hello["acks"]) == ("verbs", True)
    assert request["args"] == {}


def test_answers_to_others_are_passed_over_and_progress_is_handed_on(listen: Listen) -> None:
    path = listen(
        answering(
            {"id": 7, "result": {"wrong": 1}},
            {"id": 1, "progress": {"done": 1}},
            {"id": 1, "progress": {"done": 2}},
            {"id": 1, "result": {"done": 3}},
        )
    )
    seen: list[dict[str, Any]] = []
    with client.ControlClient(path) as supervisor:
        assert supervisor.request("reload", progress=seen.append) == {"done": 3}
    assert seen == [{"done": 1}, {"done": 2}]


def test_progress_that_nobody_wants_is_no_answer(listen: Listen) -> None:
    path = listen(answering({"id": 1, "progress": {}}, {"id": 1, "result": {"done": True}}))
    with client.ControlClient(path) as supervisor:
        assert supervisor.request("verb") == {"done": True}


@pytest.mark.parametrize(
    "error", [NotFound("No such task.", hint="List them."), InvalidInput("No."), KhiveError("Odd.")]
)
def test_what_the_other_side_refuses_is_raised_as_what_it_is(
    listen: Listen, error: KhiveError
) -> None:
    path = listen(answering({"id": 1, "error": error.as_dict()}))
    with client.ControlClient(path) as supervisor, pytest.raises(KhiveError) as caught:
        supervisor.request("verb")
    assert type(caught.value) is type(error)
    assert caught.value.as_dict() == error.as_dict()


def test_an_end_before_the_answer_says_that_it_may_have_taken_effect(listen: Listen) -> None:
    def gone(connection: protocol.Connection) -> None:
        connection.receive()
        connection.receive()
        connection.send({"id": 0, "result": {}})
        connection.receive()

    ended = pytest.raises(ProtocolError, match="ended before `stop` was answered")
    with client.ControlClient(listen(gone)) as supervisor, ended as caught:
        supervisor.request("stop")
    assert "look before you repeat" in caught.value.hint


def test_an_answer_that_does_not_come_in_time_says_where_to_look(
    listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "CONTROL_DEADLINE", 0.01)
    late = pytest.raises(ProtocolError, match="did not answer `status` in time")
    with client.ControlClient(listen(answering())) as supervisor, late as caught:
        supervisor.request("status")
    assert "khive-supervisor status" in caught.value.hint


@pytest.mark.parametrize("operation", ["reload", "roles.drain", "roles.resume", "upgrade"])
def test_what_waits_for_tasks_is_waited_for(listen: Listen, operation: str) -> None:
    with client.ControlClient(listen(answering({"id": 1, "result": {}}))) as supervisor:
        supervisor.request(operation)
        assert supervisor._connection.sock.gettimeout() == client.WORK_DEADLINE


def test_a_supervisor_of_another_store_is_not_asked_anything(
    listen: Listen, listeners: list[Listener]
) -> None:
    error = OtherStore("It serves /other.", hint="Set KHIVE_SOCKET.")
    path = listen(answering(hello={"id": 0, "error": error.as_dict()}))
    with pytest.raises(OtherStore, match="It serves /other"):
        client.ControlClient(path)
    listeners[0].end()
    assert [one.get("op") for one in listeners.pop().received] == [None, "ping"]


def test_another_error_of_the_first_answer_is_that_of_the_request(listen: Listen) -> None:
    error = Denied("Not for you.")
    path = listen(answering({"id": 1, "error": error.as_dict()}, hello={"id": 0, "error": {}}))
    with client.ControlClient(path) as supervisor, pytest.raises(KhiveError):
        supervisor.request("status")


def test_another_protocol_is_told_at_once(listen: Listen) -> None:
    def other(connection: protocol.Connection) -> None:
        body = b'{"v":2}'
        connection.sock.sendall(struct.pack(">I", len(body)) + body)
        silent(connection)

    with pytest.raises(VersionMismatch) as caught:
        client.ControlClient(listen(other))
    assert caught.value.exit_code == exitcodes.VERSION_MISMATCH


def test_what_is_no_frame_is_the_answer_to_the_request(listen: Listen) -> None:
    def web(connection: protocol.Connection) -> None:
        connection.receive()
        connection.receive()
        connection.sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with client.ControlClient(listen(web)) as supervisor, pytest.raises(ProtocolError):
        supervisor.request("status")


@pytest.mark.parametrize("stopped", [False, True])
def test_one_that_says_nothing_is_known_in_seconds(
    listen: Listen, monkeypatch: pytest.MonkeyPatch, *, stopped: bool
) -> None:
    monkeypatch.setattr(client, "SUSPECT_AFTER", 0.01)
    monkeypatch.setattr(client, "ANSWER_DEADLINE", 60.0 if stopped else 0.02)
    monkeypatch.setattr(client, "stopped", lambda _pid: stopped)
    with pytest.raises(Unresponsive) as caught:
        client.ControlClient(listen(silent))
    assert ("(it is stopped)" in caught.value.message) == stopped
    assert "kill -CONT" in caught.value.hint


@pytest.mark.parametrize(
    ("pid", "who", "number"),
    [(None, "The supervisor at /s does", "PID"), (2**22 + 5, "(pid 4194309)", "4194309")],
)
def test_an_unresponsive_one_is_named_with_what_to_do(
    pid: int | None, who: str, number: str
) -> None:
    error = client.unresponsive(pid, "/s")
    assert who in error.message
    assert f"kill -9 {number}" in error.hint
    assert (error.retryable, error.exit_code) == (True, exitcodes.UNRESPONSIVE)


# --- connecting -----------------------------------------------------------------------------------


def test_nobody_at_the_path_is_no_supervisor(short: Path) -> None:
    with pytest.raises(NotRunning, match="No supervisor is running") as caught:
        client.connect(str(short / "s"))
    assert "start --background" in caught.value.hint
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(short / "s"))
    left.close()
    with pytest.raises(NotRunning, match="No supervisor is running"):
        client.connect(str(short / "s"))


def test_what_is_no_socket_is_said_with_its_reason(short: Path) -> None:
    (short / "dir").mkdir()
    (short / "f").touch()
    with pytest.raises(NotRunning):
        client.connect(str(short / "f" / "s"))
    with pytest.raises(NotRunning):
        client.connect(str(short / "dir"))


@pytest.mark.parametrize("letters", ["x", "ä"])
def test_a_path_is_as_long_as_the_kernel_takes_it(letters: str) -> None:
    size = len(letters.encode())
    longest = "/" + letters * ((paths.SOCKET_PATH_LIMIT - 1) // size)
    client.check_socket_path(longest)
    with pytest.raises(KhiveError, match="bytes") as caught:
        client.check_socket_path(longest + letters * 2)
    assert "KHIVE_SOCKET" in caught.value.hint


def test_a_directory_that_others_can_write_is_refused_before_anything_is_sent(
    short: Path, listen: Listen, listeners: list[Listener]
) -> None:
    path = listen(silent)
    short.chmod(0o777)
    try:
        with pytest.raises(Denied, match="Nothing is sent there"):
            client.connect(path)
    finally:
        short.chmod(0o700)
    listeners[0].end()
    assert listeners.pop().received == []


def test_another_user_s_socket_is_refused(
    listen: Listen, listeners: list[Listener], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "peer", lambda _sock: (1, 99_999))
    with pytest.raises(Denied, match=r"another user \(uid 99999\)"):
        client.connect(listen(silent))
    listeners[0].end()
    assert listeners.pop().received == []


def test_a_full_queue_is_tried_again_and_is_no_supervisor_for_good(
    short: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = iter((0.0, client.ANSWER_DEADLINE, client.ANSWER_DEADLINE + 0.1))
    waits: list[float] = []
    monkeypatch.setattr(client.time, "monotonic", lambda: next(moments))
    monkeypatch.setattr(client.time, "sleep", waits.append)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(short / "s"))
        sock.listen(0)
        waiting = []
        try:
            while True:  # fill the queue of one that accepts nobody
                waiting.append(socket.socket(socket.AF_UNIX))
                waiting[-1].setblocking(False)
                waiting[-1].connect(str(short / "s"))
        except BlockingIOError:
            pass
        with waiting[-1] as late, pytest.raises(Unresponsive):
            client._connect(late, str(short / "s"))
        for one in waiting:
            one.close()
    assert waits == [client.TRY_AGAIN]


def test_the_owner_of_a_socket_is_who_listens(listen: Listen) -> None:
    assert client.owner(listen(silent)) == os.getpid()
