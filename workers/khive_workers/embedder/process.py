"""The embedder process: holds the one copy of the model and answers everybody over a Unix socket.

What crosses the socket is described in `khive_supervisor.embed.wire`, whose turn it is in
`khive_workers.embedder.turns`. The loop's thread reads and writes; others compute: one serves only
short requests, so that a search never waits behind a text that is being stored, and as many as
configured serve all. The single text of a client that asks alone is computed by the loop itself.
When nobody asks, everything sleeps.

    python -P -m khive_workers.embedder [--parent-fd N] [--socket PATH]

It says `ready` on the parent's descriptor once it can answer, and ends when that reports the end,
or on SIGTERM. The supervisor's lock makes it the only one that may own the socket's path.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import signal
import socket
import stat
import struct
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable

from khive_supervisor import exitcodes, logs
from khive_supervisor.config import snapshot
from khive_supervisor.config.settings.search import EmbedderSettings
from khive_supervisor.control import protocol
from khive_supervisor.embed import wire
from khive_supervisor.embed.base import TEXT_LIMIT, Embedder, EmbedderBusy, Vectors
from khive_supervisor.embed.factory import in_process
from khive_supervisor.embed.names import embedder_socket
from khive_supervisor.errors import BootFailure, EmbedderUnavailable, KhiveError, ProtocolError
from khive_supervisor.host import paths
from khive_workers.common import runtime
from khive_workers.embedder.turns import Job, Slice, SoleClient, Turns

log = logs.get("khive.embedder")

#: Clients at once; each session has one connection, rarely two.
MAX_CLIENTS = 512
#: Seconds in which a frame that has begun must be whole; half of one holds up to 8 MiB.
FRAME_DEADLINE = 10.0
#: Queries whose vectors are remembered (1.5 KB each), and the longest that is.
CACHED_QUERIES, CACHED_CHARACTERS = 1024, 512
#: Texts of one request to an endpoint. The bundled model takes one at a time; see minilm.py.
ENDPOINT_BATCH = 32


class Computer:
    """The threads that compute, and the jobs that wait for them."""

    def __init__(self, embedder: Embedder, *, threads: int, batch: int) -> None:
        self._embedder = embedder
        self._turns = Turns(batch)
        self._lock = threading.Lock()
        self._short = threading.Condition(self._lock)
        self._any = threading.Condition(self._lock)
        self._short_sleeps = False
        self._serve("short", self._next_short)
        for number in range(threads):
            self._serve(f"any-{number}", self._next)

    def _serve(self, name: str, following: Callable[[], Slice]) -> None:
        def run() -> None:
            while True:
                self._compute(following())

        threading.Thread(target=run, name=name, daemon=True).start()

    def submit(self, job: Job) -> None:
        """Let a job be computed; its `tell` is called from a thread of this class.

        Raises:
            EmbedderBusy: too much is waiting; the job was not taken.
        """
        with self._lock:
            self._turns.add(job)
            if job.short and self._short_sleeps:
                self._short_sleeps = False
                self._short.notify()
            elif job.short:
                self._any.notify()
            else:
                self._any.notify_all()

    def now(self, text: str) -> Vectors:
        """Compute one text in the calling thread.

        Raises:
            KhiveError: the model failed.
        """
        try:
            return self._embedder.embed([text])
        except Exception as error:
            raise _told(error) from error

    def drop(self, job: Job) -> None:
        """Compute no more of a job; it is not told."""
        with self._lock:
            self._turns.drop(job)

    def _next(self) -> Slice:
        with self._lock:
            while (found := self._turns.take()) is None:
                self._any.wait()
            return found

    def _next_short(self) -> Slice:
        with self._lock:
            while (found := self._turns.take_short()) is None:
                self._short_sleeps = True
                self._short.wait()
            return found

    def _compute(self, part: Slice) -> None:
        job = part.job
        try:
            vectors = self._embedder.embed(part.texts)
        except Exception as error:  # noqa: BLE001 - the top of a thread: one text ends no other's
            self._fail(job, _told(error))
            return
        with self._lock:
            job.fill(part.start, vectors)
            complete = job.left == 0 and not job.over
            job.over = job.over or complete
        if complete:
            job.notify(job)

    def _fail(self, job: Job, error: KhiveError) -> None:
        with self._lock:
            first = not job.over
            self._turns.drop(job)
        if first:
            job.error = error
            job.notify(job)


def _told(error: Exception) -> KhiveError:
    if isinstance(error, KhiveError):
        return error
    log.error("embedder.failed", error=repr(error))
    return EmbedderUnavailable(f"The model failed: {error!r}.", hint="The log has more.")


class Answers:
    """Finds the answer to a request: remembered, computed, or an error. Used by the loop alone.

    `at_once`: whether a text is computed so quickly that the loop may do it for a lone client.
    """

    def __init__(self, embedder: Embedder, computer: Computer, *, at_once: bool) -> None:
        self.hello = wire.hello(embedder.model_id, embedder.dimensions)
        self._dimensions = embedder.dimensions
        self._computer = computer
        self._at_once = at_once
        self._sole_client = SoleClient()
        self._loop = asyncio.get_running_loop()
        self._remembered: OrderedDict[str, bytes] = OrderedDict()

    def ask(self, client: object, received: bytes, answer: Callable[[bytes], None]) -> Job | None:
        """Answer a request's frame, now or later; the job if it is later."""
        alone = self._sole_client.is_sole(client, self._loop.time())
        try:
            texts = [text[:TEXT_LIMIT] for text in wire.read_request(received)]
            known = self._known(texts)
            if known is None and self._at_once and alone and len(texts) == 1:
                known = self._answered(texts, self._computer.now(texts[0]))
            if known is None:
                return self._submit(texts, answer)
        except KhiveError as error:
            known = wire.failure(error)
        answer(known)
        return None

    def forget(self, job: Job) -> None:
        """Drop a job that nobody waits for any more."""
        self._computer.drop(job)

    def _submit(self, texts: list[str], answer: Callable[[bytes], None]) -> Job:
        def finish(job: Job) -> None:
            answer(self._answer(job))

        def notify(job: Job) -> None:
            try:
                self._loop.call_soon_threadsafe(finish, job)
            except RuntimeError:
                return  # the loop has ended, and the process is about to

        job = Job(texts, self._dimensions, notify)
        self._computer.submit(job)
        return job

    def _known(self, texts: list[str]) -> bytes | None:
        if not texts:
            return wire.frame(wire.VECTORS, b"")
        if len(texts) > 1 or texts[0] not in self._remembered:
            return None
        self._remembered.move_to_end(texts[0])
        return self._remembered[texts[0]]

    def _answer(self, job: Job) -> bytes:
        if job.error is not None:
            return wire.failure(job.error)
        return self._answered(job.texts, job.vectors)

    def _answered(self, texts: list[str], vectors: Vectors) -> bytes:
        answer = wire.vectors(vectors)
        if len(texts) == 1 and len(texts[0]) <= CACHED_CHARACTERS:
            self._remembered[texts[0]] = answer
            if len(self._remembered) > CACHED_QUERIES:
                self._remembered.popitem(last=False)
        return answer


class EmbedderConnection(asyncio.Protocol):
    """One connection: a request, its answer, and so on. Whatever it sends, others are served."""

    def __init__(self, answers: Answers, clients: set[EmbedderConnection]) -> None:
        self._answers = answers
        self._clients = clients
        self._frames = protocol.Frames()
        self._transport: asyncio.Transport | None = None
        self._job: Job | None = None
        self._unread = False
        self._half: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet a client of this user; others are not answered."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if not _same_user(transport.get_extra_info("socket")):
            transport.abort()
        elif len(self._clients) >= MAX_CLIENTS:
            self._refuse(EmbedderBusy(f"The embedder already serves {MAX_CLIENTS} clients."))
        else:
            self._clients.add(self)
            transport.write(self._answers.hello)

    def data_received(self, data: bytes) -> None:
        """Take what arrived; a request that is whole is answered."""
        if self._half is not None:
            self._half.cancel()
            self._half = None
        try:
            for received in self._frames.feed(data):
                self._request(received)
        except ProtocolError as error:
            self._refuse(error)
        if self._frames.pending and self in self._clients:
            loop = asyncio.get_running_loop()
            self._half = loop.call_later(FRAME_DEADLINE, self._abort)

    def _request(self, received: bytes) -> None:
        if self._job is not None or self._unread:
            raise ProtocolError("A request came before the last answer was read.")
        self._job = self._answers.ask(self, received, self._answer)

    def _answer(self, answer: bytes) -> None:
        self._job = None
        if self._transport is not None:
            self._transport.write(answer)

    def _refuse(self, error: KhiveError) -> None:
        if self._transport is not None:
            self._transport.write(wire.failure(error))
        self._abort()

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def pause_writing(self) -> None:
        """The client does not read its answers; it may not ask until it has."""
        self._unread = True

    def resume_writing(self) -> None:
        """The client has read its answers."""
        self._unread = False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Forget the client and what it waited for."""
        self._transport = None
        self._clients.discard(self)
        if self._half is not None:
            self._half.cancel()
        if self._job is not None:
            self._answers.forget(self._job)


def _same_user(sock: socket.socket) -> bool:
    """Return True if the other side is this user, or the kernel cannot say: the mode does."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return True
    _, uid, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, option, 12))
    return bool(uid == os.getuid())


def listen(path: str) -> socket.socket:
    """Own a socket's path: what an earlier process left there is replaced.

    Raises:
        BootFailure: the path cannot be had.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        if os.path.lexists(path) and stat.S_ISSOCK(os.lstat(path).st_mode):
            os.unlink(path)
        sock.bind(path)
        sock.listen(128)
    except OSError as error:
        sock.close()
        raise BootFailure(
            f"The embedder cannot listen at {path}: {error}.",
            hint="Remove what is there, or set KHIVE_SOCKET to a shorter path of your own.",
        ) from None
    finally:
        os.umask(mask)
    return sock


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _until_end(parent: int, stop: asyncio.Event) -> None:
    """Answer the parent; stop when its end is closed."""
    if not runtime.answer_parent(parent):
        stop.set()


async def serve(
    listening: socket.socket, settings: EmbedderSettings, announce: int | None, parent: int | None
) -> None:
    """Answer clients until SIGTERM or the parent's end.

    Raises:
        BootFailure: the model cannot be loaded.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if parent is not None:
        os.set_blocking(parent, False)
        loop.add_reader(parent, _until_end, parent, stop)
    bundled = settings.kind == "minilm"
    embedder = in_process(settings)
    if embedder is None:
        raise BootFailure('embedder.kind is "none": there is nothing to serve.')
    computer = Computer(embedder, threads=settings.threads, batch=1 if bundled else ENDPOINT_BATCH)
    answers = Answers(embedder, computer, at_once=bundled)
    clients: set[EmbedderConnection] = set()
    server = await loop.create_unix_server(
        lambda: EmbedderConnection(answers, clients), sock=listening
    )
    gc.collect()
    gc.freeze()
    if announce is not None:
        os.write(announce, b"ready\n")
    await stop.wait()
    server.close()


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--parent-fd", type=int)
    parser.add_argument("--ready-fd", type=int, help="default: the parent's")
    parser.add_argument("--socket", help="default: beside KHIVE_SOCKET")
    return parser.parse_args(argv)


def main(argv: list[str]) -> int:
    """Return the process; returns its exit code."""
    options = _parse(argv)
    runtime.reset_signals()
    runtime.name_process("khive-embedder")
    config = snapshot.from_environment()
    logs.to_stderr("warning")
    path = options.socket or embedder_socket(paths.socket_path(None))
    announce = options.parent_fd if options.ready_fd is None else options.ready_fd
    try:
        listening = listen(path)
        owned = _identity(path)
        asyncio.run(serve(listening, config.embedder, announce, options.parent_fd))
    except KhiveError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    if _identity(path) == owned:
        os.unlink(path)
    return exitcodes.OK
