"""The client of the embedder process, against servers that behave and servers that do not."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import numpy as np
import pytest
from support import Clock, wait_until

from khive_supervisor.control import protocol
from khive_supervisor.embed import wire
from khive_supervisor.embed.base import TEXT_LIMIT, EmbedderBusy
from khive_supervisor.embed.client import PART_TEXTS, EmbedderClient
from khive_supervisor.errors import EmbedderUnavailable, InvalidInput

#: Seconds for an answer that does come; a busy machine gets its time.
PATIENCE = 60.0
HELLO = wire.hello("model", 3)
Behaviour = Callable[[socket.socket], None]


def requests(sock: socket.socket) -> Iterator[list[str]]:
    """What a client asks on a connection, until it closes."""
    frames = protocol.Frames()
    while data := sock.recv(65536):
        for received in frames.feed(data):
            yield wire.read_request(received)


def lengths(texts: list[str]) -> bytes:
    """An answer that can be checked: the vector of a text is its length, thrice."""
    return wire.vectors(np.array([[len(text)] * 3 for text in texts], np.float32))


def good(sock: socket.socket) -> None:
    sock.sendall(HELLO)
    for texts in requests(sock):
        sock.sendall(lengths(texts))


class Server:
    """Serves connections, each as it is told, the last way for all that follow."""

    def __init__(self, path: str, *behaviours: Behaviour) -> None:
        self.path = path
        self.connections = 0
        self._behaviours = behaviours
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(path)
        self._listening.listen(16)
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listening.accept()
            except OSError:
                return
            behaviour = self._behaviours[min(self.connections, len(self._behaviours) - 1)]
            self.connections += 1
            self._open.append(sock)
            thread = threading.Thread(target=self._serve, args=(behaviour, sock))
            self._threads.append(thread)
            thread.start()

    def _serve(self, behaviour: Behaviour, sock: socket.socket) -> None:
        with sock, contextlib.suppress(OSError):
            behaviour(sock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._accepting.join()
        for sock in self._open:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        os.unlink(self.path)


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "e.sock")


@contextlib.contextmanager
def client(path: str, **options: float | Clock) -> Iterator[EmbedderClient]:
    made = EmbedderClient(path, "model", 3, **options)  # type: ignore[arg-type]  # by name above
    try:
        yield made
    finally:
        made.close()


def test_vectors_come_in_order(path: str) -> None:
    with Server(path, good), client(path) as embedder:
        assert embedder.embed(["a", "bb", ""]).tolist() == [[1] * 3, [2] * 3, [0] * 3]
        assert embedder.embed([]).shape == (0, 3)


def test_it_connects_when_it_is_asked_and_stays_connected(path: str) -> None:
    with client(path) as embedder:
        with pytest.raises(EmbedderUnavailable, match="No such file"):
            embedder.embed(["a"])
        with Server(path, good) as server:
            for _ in range(3):
                embedder.embed(["a"])
            assert server.connections == 1


def test_a_restarted_server_is_found_again(path: str) -> None:
    with client(path) as embedder:
        for _ in range(3):
            with Server(path, good):
                assert embedder.embed(["abc"]).tolist() == [[3.0] * 3]
        with pytest.raises(EmbedderUnavailable) as caught:
            embedder.embed(["abc"])
        assert "full text" in caught.value.hint
        assert caught.value.retryable


def test_many_texts_are_asked_for_in_parts(path: str) -> None:
    seen: list[int] = []

    def counting(sock: socket.socket) -> None:
        sock.sendall(HELLO)
        for texts in requests(sock):
            seen.append(len(texts))
            sock.sendall(lengths(texts))

    texts = ["x" * (number % 7) for number in range(PART_TEXTS * 2 + 5)]
    with Server(path, counting), client(path) as embedder:
        assert embedder.embed(texts)[:, 0].tolist() == [len(text) for text in texts]
        assert seen == [PART_TEXTS, PART_TEXTS, 5]
        seen.clear()
        long = ["🙂" * TEXT_LIMIT + "never sent"] * 40
        assert embedder.embed(long)[:, 0].tolist() == [TEXT_LIMIT] * 40
        assert max(seen) * TEXT_LIMIT <= wire.MAX_CHARACTERS


def test_another_model_counts_as_away(path: str) -> None:
    def other(sock: socket.socket) -> None:
        sock.sendall(wire.hello("another", 3))
        sock.recv(1)

    with (
        Server(path, other),
        client(path) as embedder,
        pytest.raises(EmbedderUnavailable, match="'another'"),
    ):
        embedder.embed(["a"])


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        HELLO[:-3],
        wire.frame(b"H", b"\xff"),
        wire.failure(EmbedderBusy("full")),
        HELLO + wire.frame(b"V", b"short"),
        HELLO + wire.frame(b"Z", b""),
        HELLO + wire.vectors(np.ones((1, 3), np.float32))[:-1],
        HELLO + wire.failure(InvalidInput("what?")),
    ],
    ids=repr,
)
def test_whatever_a_server_says_the_error_is_unavailable(path: str, said: bytes) -> None:
    def saying(sock: socket.socket) -> None:
        sock.sendall(said)
        sock.shutdown(socket.SHUT_WR)
        sock.recv(65536)

    with Server(path, saying, good), client(path) as embedder:
        with pytest.raises(EmbedderUnavailable):
            embedder.embed(["a"])
        assert embedder.embed(["a"]).tolist() == [[1.0] * 3]


def test_busy_is_told_apart_and_the_connection_goes_on(path: str) -> None:
    def busy_once(sock: socket.socket) -> None:
        sock.sendall(HELLO)
        asked = requests(sock)
        next(asked)
        sock.sendall(wire.failure(EmbedderBusy("full")))
        for texts in asked:
            sock.sendall(lengths(texts))

    with Server(path, busy_once) as server, client(path) as embedder:
        with pytest.raises(EmbedderBusy, match="full"):
            embedder.embed(["a"])
        assert embedder.embed(["a"]).tolist() == [[1.0] * 3]
        assert server.connections == 1


@pytest.mark.parametrize("said", [b"", HELLO, HELLO + b"\0\0"], ids=["mute", "greets", "begins"])
def test_a_hung_server_meets_a_deadline_and_then_delays_nobody(path: str, said: bytes) -> None:
    let_go = threading.Event()

    def hung(sock: socket.socket) -> None:
        sock.sendall(said)
        let_go.wait(PATIENCE)

    with (
        pytest.MonkeyPatch.context() as patch,
        Server(path, hung, hung, good) as server,
        client(path, deadline=0.05) as embedder,
    ):
        patch.setattr("khive_supervisor.embed.client.CONNECT_DEADLINE", 0.05)
        with pytest.raises(EmbedderUnavailable, match=r"timed out|in time"):
            embedder.embed(["a"])
        patch.undo()
        embedder._deadline = PATIENCE  # what follows does not wait for it
        for _ in range(20):
            with pytest.raises(EmbedderUnavailable, match="just now"):
                embedder.embed(["a"])
        assert (
            server.connections == 2
        )  # the one that was asked, and one that asks whether it is back
        let_go.set()

        def back() -> bool:
            with contextlib.suppress(EmbedderUnavailable):
                return embedder.embed(["a"]).tolist() == [[1.0] * 3]
            return False

        wait_until(back, "it answers again")
        assert server.connections == 3


def test_who_is_told_that_a_server_hangs_does_not_wait_for_it(path: str) -> None:
    let_go = threading.Event()

    def slow(sock: socket.socket) -> None:
        let_go.wait(PATIENCE)
        good(sock)

    with Server(path, good, slow) as server, client(path) as embedder:
        embedder.embed(["a"])
        embedder.suspect()
        with pytest.raises(EmbedderUnavailable, match="just now"):
            embedder.embed(["ab"])
        let_go.set()  # the same question is answered after all, and its connection goes on

        def back() -> bool:
            with contextlib.suppress(EmbedderUnavailable):
                return embedder.embed(["ab"]).tolist() == [[2.0] * 3]
            return False

        wait_until(back, "it answers again")
        assert server.connections == 2


def test_an_import_that_is_late_does_not_keep_searches_away(path: str) -> None:
    def slow_with_many(sock: socket.socket) -> None:
        sock.sendall(HELLO)
        for texts in requests(sock):
            if len(texts) == 1:
                sock.sendall(lengths(texts))

    with Server(path, slow_with_many), client(path, deadline=0.05) as embedder:
        with pytest.raises(EmbedderUnavailable, match=r"timed out|in time"):
            embedder.embed(["a", "b"])
        embedder._deadline = PATIENCE
        embedder.embed(["abc"])


def test_what_was_begun_is_not_asked_again(path: str) -> None:
    seen: list[list[str]] = []

    def noting(sock: socket.socket) -> None:
        sock.sendall(HELLO)
        for texts in requests(sock):
            seen.append(texts)
            sock.sendall(lengths(texts))

    with Server(path, noting) as server, client(path) as embedder:
        assert embedder.begin("first")()[0, 0] == 5  # there was no connection yet
        waits = [embedder.begin(text) for text in ("a", "bb")]  # the other is asked when it waits
        assert [wait()[0, 0] for wait in waits] == [1, 2]
        assert seen == [["first"], ["a"], ["bb"]]
        assert server.connections == 1


def test_what_was_begun_and_is_not_wanted_disturbs_nobody(path: str) -> None:
    with Server(path, good, good) as server, client(path) as embedder:
        embedder.embed(["first"])
        wait = embedder.begin("nobody will ask")
        assert embedder.embed(["another"])[0, 0] == len("another")
        assert server.connections == 2
        assert wait()[0, 0] == len("nobody will ask")
        assert embedder.begin("x" * (TEXT_LIMIT + 1))()[0, 0] == TEXT_LIMIT
        assert server.connections == 2


def test_what_was_begun_at_a_server_that_ended_is_asked_again(path: str) -> None:
    ended = threading.Event()

    def ends(sock: socket.socket) -> None:
        sock.sendall(HELLO)
        asked = requests(sock)
        sock.sendall(lengths(next(asked)))
        next(asked)
        ended.set()

    with Server(path, ends, good) as server, client(path) as embedder:
        embedder.embed(["first"])
        wait = embedder.begin("abc")
        assert ended.wait(PATIENCE)
        assert wait().tolist() == [[3.0] * 3]
        assert server.connections == 2


def test_threads_share_one_client(path: str) -> None:
    wrong: list[int] = []

    def ask(embedder: EmbedderClient, number: int) -> None:
        lengths = range(number, number + 40)
        wrong.extend(n for n in lengths if embedder.embed(["x" * n])[0, 0] != n)

    with Server(path, good) as server, client(path) as embedder:
        threads = [threading.Thread(target=ask, args=(embedder, n)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong
        assert server.connections <= 8


def test_a_forked_child_leaves_its_parents_connection_alone(path: str) -> None:
    script = (
        "import os, sys\n"
        "from khive_supervisor.embed.client import EmbedderClient\n"
        "client = EmbedderClient(sys.argv[1], 'model', 3)\n"
        "client.embed(['a'])\n"
        "pid = os.fork()\n"
        "right = all(client.embed(['x' * n])[0, 0] == n for n in range(200))\n"
        "if pid == 0: os._exit(not right)\n"
        "sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) or not right)\n"
    )
    root = str(Path(__file__).parents[3])
    with Server(path, good) as server:
        done = subprocess.run(
            [sys.executable, "-P", "-c", script, path], env={**os.environ, "PYTHONPATH": root}
        )
        assert done.returncode == 0
        assert server.connections == 2


def test_the_client_loads_no_inference() -> None:
    script = (
        "import sys, khive_supervisor.embed.client\n"
        "sys.exit(any(name in sys.modules for name in ('onnxruntime', 'asyncio', 'http.client')))"
    )
    root = str(Path(__file__).parents[3])
    done = subprocess.run(
        [sys.executable, "-P", "-c", script], env={**os.environ, "PYTHONPATH": root}
    )
    assert done.returncode == 0
