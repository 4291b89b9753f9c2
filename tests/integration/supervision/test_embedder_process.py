"""The embedder process with the bundled model, and clients that behave or do not."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import stat
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from khive_workers.embedder.turns import WAITING_LIMIT

from khive_supervisor import exitcodes
from khive_supervisor.config import snapshot
from khive_supervisor.config.settings.model import Config
from khive_supervisor.config.settings.search import EmbedderSettings
from khive_supervisor.control import protocol
from khive_supervisor.embed import wire
from khive_supervisor.embed.base import EmbedderBusy
from khive_supervisor.embed.client import EmbedderClient
from khive_supervisor.embed.minilm import MiniLM
from khive_supervisor.embed.names import embedder_socket, model_id_of
from khive_supervisor.errors import EmbedderUnavailable

ROOT = Path(__file__).parents[3]
#: Seconds for what takes milliseconds; a busy machine gets its time.
DEADLINE = 60.0
TEXTS = ["where do release notes live?", "", "word " * 500, "日本語 \x00 \ud800 🙂"]
#: Half a second of work and more, whatever the machine.
WORK = wire.request(["word " * 300] * wire.MAX_TEXTS)


class Process:
    """An embedder process with the parent's end of its link."""

    def __init__(self, path: str, *, threads: int = 1) -> None:
        self.path = path
        settings = EmbedderSettings(threads=threads)
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "workers"))),
            snapshot.VARIABLE: snapshot.dumps(Config(embedder=settings)),
        }
        self.link, theirs = socket.socketpair()
        fd = str(theirs.fileno())
        argv = [sys.executable, "-P", "-m", "khive_workers.embedder", "--parent-fd", fd]
        with theirs:
            self.popen = subprocess.Popen(
                [*argv, "--socket", path],
                pass_fds=[theirs.fileno()],
                env=environment,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        self.link.settimeout(DEADLINE)

    def ready(self) -> Process:
        assert self.link.recv(64) == b"ready\n"
        return self

    def wait(self) -> tuple[int, str]:
        """Its exit code and what it said, once it has ended."""
        _, said = self.popen.communicate(timeout=DEADLINE)
        return self.popen.returncode, said.decode()

    def kill(self) -> None:
        self.popen.kill()
        self.wait()

    def close(self) -> None:
        self.link.close()
        if self.popen.returncode is None:
            self.kill()


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "e.sock")


@pytest.fixture
def process(path: str) -> Iterator[Process]:
    with contextlib.closing(Process(path)) as started:
        yield started.ready()
        assert started.popen.returncode is not None or started.popen.poll() is None


@pytest.fixture(scope="module")
def model() -> MiniLM:
    return MiniLM()


@contextlib.contextmanager
def client(path: str) -> Iterator[EmbedderClient]:
    made = EmbedderClient(path, model_id_of(EmbedderSettings()) or "", 384, deadline=DEADLINE)
    with contextlib.closing(made):
        yield made


@contextlib.contextmanager
def raw(path: str) -> Iterator[socket.socket]:
    """A connection without manners; the greeting has been read."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(DEADLINE)
        sock.connect(path)
        assert receive(sock)[:1] == wire.HELLO
        yield sock


def receive(sock: socket.socket) -> bytes:
    """The next frame; empty when the other side has closed."""
    frames = protocol.Frames()
    while True:
        try:
            data = sock.recv(65536)
        except ConnectionResetError:
            return b""
        if not data:
            return b""
        for received in frames.feed(data):
            return received


def test_vectors_are_the_models_own(process: Process, model: MiniLM) -> None:
    with client(process.path) as embedder:
        assert np.array_equal(embedder.embed(TEXTS), model.embed(TEXTS))
        for text in TEXTS * 2:  # the second time from memory
            assert np.array_equal(embedder.embed([text]), model.embed([text]))


def test_only_this_user_may_use_the_socket(process: Process) -> None:
    assert stat.S_IMODE(os.stat(process.path).st_mode) == 0o600


def test_many_clients_at_once_get_their_own_answers(path: str, model: MiniLM) -> None:
    texts = [[f"question {number} of client {owner}" for number in range(12)] for owner in range(8)]
    expected = [model.embed(own) for own in texts]
    wrong: list[str] = []

    def ask(owner: int) -> None:
        with client(path) as embedder:
            for number, text in enumerate(texts[owner]):
                if not np.array_equal(embedder.embed([text])[0], expected[owner][number]):
                    wrong.append(text)
            if not np.array_equal(embedder.embed(texts[owner]), expected[owner]):
                wrong.append(f"all of {owner}")

    with contextlib.closing(Process(path, threads=2).ready()):
        threads = [threading.Thread(target=ask, args=(owner,)) for owner in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong


def test_killed_in_the_middle_it_is_away_and_then_back(path: str, model: MiniLM) -> None:
    with client(path) as embedder:
        with contextlib.closing(Process(path).ready()) as first:
            embedder.embed(["warm"])
            failed: list[EmbedderUnavailable] = []
            started = threading.Event()

            def ask() -> None:
                started.set()
                try:
                    embedder.embed(["word " * 300] * 2000)
                except EmbedderUnavailable as error:
                    failed.append(error)

            thread = threading.Thread(target=ask)
            thread.start()
            started.wait()
            with raw(path) as sock:  # long enough in for the request to have arrived
                sock.sendall(wire.request(["now"]))
                receive(sock)
            first.kill()
            thread.join()
            assert len(failed) == 1
        with pytest.raises(EmbedderUnavailable, match="refused"):
            embedder.embed(["gone"])
        with contextlib.closing(Process(path).ready()):
            assert np.array_equal(embedder.embed(["back"]), model.embed(["back"]))


GARBAGE = [
    pytest.param(b"\0\0\0\0", id="empty frame"),
    pytest.param(struct.pack(">I", protocol.MAX_FRAME + 1) + b"T", id="oversized"),
    pytest.param(b"\xff" * 100, id="ones"),
    pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="http"),
    pytest.param(os.urandom(4096), id="random"),
    pytest.param(wire.request(["a"]) * 3, id="does not wait"),
]


@pytest.mark.parametrize("sent", GARBAGE)
def test_garbage_ends_its_connection_and_nothing_else(
    process: Process, model: MiniLM, sent: bytes
) -> None:
    with client(process.path) as embedder, raw(process.path) as sock:
        sock.sendall(sent)
        sock.shutdown(socket.SHUT_WR)
        while receive(sock):
            pass
        assert np.array_equal(embedder.embed(["still"]), model.embed(["still"]))


@pytest.mark.parametrize("rest", [b"", b"{", b'["\xff"]', b"[1]", b"[" * 50_000])
def test_an_unreadable_request_is_answered_and_the_connection_goes_on(
    process: Process, rest: bytes
) -> None:
    with raw(process.path) as sock:
        sock.sendall(wire.frame(wire.TEXTS, rest))
        assert receive(sock)[:1] == wire.ERROR
        sock.sendall(wire.frame(b"?", rest))
        assert receive(sock)[:1] == wire.ERROR
        sock.sendall(wire.request([]))
        assert receive(sock) == wire.VECTORS
        sock.sendall(wire.request(["fine"]))
        assert receive(sock)[:1] == wire.VECTORS


def test_clients_that_die_at_any_point_leave_the_rest_served(
    process: Process, model: MiniLM
) -> None:
    for cut in (0, 1, 3, 4, 5, 100, len(WORK) - 1, len(WORK)):
        with raw(process.path) as sock:
            sock.sendall(WORK[:cut])
    with client(process.path) as embedder:
        assert np.array_equal(embedder.embed(["on"]), model.embed(["on"]))


def test_one_that_never_reads_is_not_waited_for(process: Process, model: MiniLM) -> None:
    with raw(process.path) as deaf, client(process.path) as embedder:
        deaf.sendall(wire.request([f"text {number}" for number in range(wire.MAX_TEXTS)]))
        for _ in range(3):
            assert np.array_equal(embedder.embed(["on"]), model.embed(["on"]))


def test_too_much_at_once_is_busy_and_then_not(process: Process) -> None:
    # Eight requests more than fit: some are refused even if the first are done meanwhile.
    with contextlib.ExitStack() as stack:
        crowd = [
            stack.enter_context(raw(process.path))
            for _ in range(WAITING_LIMIT // wire.MAX_TEXTS + 8)
        ]
        for sock in crowd:
            sock.sendall(WORK)
        with pytest.raises(EmbedderBusy):
            wire.read_vectors(receive(crowd[-1]), wire.MAX_TEXTS, 384)
    with client(process.path) as embedder:
        while True:
            try:
                assert embedder.embed(["again"]).shape == (1, 384)
            except EmbedderBusy:
                continue  # those who left have not all been noticed
            break


def test_a_query_passes_long_imports(process: Process) -> None:
    with contextlib.ExitStack() as stack, client(process.path) as embedder:
        imports = [stack.enter_context(raw(process.path)) for _ in range(8)]
        for sock in imports:
            sock.sendall(WORK)
        embedder.embed(["a query"])
        answered, _, _ = select.select(imports, [], [], 0)
        assert len(answered) < len(imports)


def test_it_ends_with_its_parent(process: Process) -> None:
    with client(process.path) as embedder:
        embedder.embed(["a"])
        process.link.close()
        assert process.wait() == (exitcodes.OK, "")
        assert not os.path.exists(process.path)


def test_it_ends_on_sigterm_in_the_middle_of_work(process: Process) -> None:
    with raw(process.path) as sock:
        sock.sendall(WORK)
        process.popen.terminate()
        assert process.wait() == (exitcodes.OK, "")
    assert not os.path.exists(process.path)


def test_a_mask_that_it_inherits_does_not_make_it_deaf(path: str) -> None:
    old = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        process = Process(path)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, old)
    with contextlib.closing(process.ready()):
        process.popen.terminate()
        assert process.wait() == (exitcodes.OK, "")


def test_what_a_killed_one_left_is_replaced(path: str) -> None:
    with contextlib.closing(Process(path).ready()) as first:
        first.kill()
    assert os.path.exists(path)
    with contextlib.closing(Process(path).ready()), client(path) as embedder:
        assert embedder.embed(["a"]).shape == (1, 384)


def test_an_older_one_does_not_remove_its_successors_socket(path: str) -> None:
    with contextlib.ExitStack() as stack:
        older = stack.enter_context(contextlib.closing(Process(path).ready()))
        stack.enter_context(contextlib.closing(Process(path).ready()))
        older.popen.terminate()
        assert older.wait() == (exitcodes.OK, "")
        embedder = stack.enter_context(client(path))
        assert embedder.embed(["a"]).shape == (1, 384)


def test_a_file_in_its_place_is_left_alone(path: str) -> None:
    Path(path).write_text("mine")
    with contextlib.closing(Process(path)) as process:
        code, said = process.wait()
    assert code == exitcodes.BOOT_FAILURE
    assert "cannot listen" in said
    assert Path(path).read_text() == "mine"


def test_its_socket_lies_beside_the_supervisors() -> None:
    assert embedder_socket("/run/khive/supervisor.sock") == "/run/khive/supervisor.embed"
    assert embedder_socket("/tmp/custom") == "/tmp/custom.embed"
