"""The zygote: imports everything once, then forks a worker per request in milliseconds.

The only process of the project that forks, so its rules are strict: one thread, no database
connection, no lock; a child gets the descriptors of its own client and closes all others.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import selectors
import signal
import socket
import sys
import threading
from typing import Any

from khive_supervisor import exitcodes, logs
from khive_supervisor.config import from_dict, snapshot
from khive_supervisor.protocol import MAX_FDS
from khive_workers import role, runtime, session

#: Bytes of one request; a sequenced packet is received whole or cut.
MAX_REQUEST = 256 * 1024


#: CPython's allocator for small objects: its sizes, and its pools, which begin with a header. Other
#: versions may have other numbers; then some gaps stay, and nothing else happens.
_SIZES = range(48, 513, 16)
_POOL_BYTES, _POOL_HEADER = 16384, 48
#: Bytes that a `bytes` object takes beside its content.
_BYTES_SHELL = 33
#: Gaps of one size at most, whatever the allocator is.
_MOST_GAPS = 20_000

_filling: list[bytes] = []


def fill_gaps() -> None:
    """Take the free places among the zygote's objects, for good.

    A session's new objects then lie together on pages of their own, instead of making it copy a
    shared page for each: 0.3 MB less for every session.
    """
    for size in _SIZES:
        for _ in range(_MOST_GAPS):
            filler = bytes(size - _BYTES_SHELL)
            _filling.append(filler)
            if id(filler) % _POOL_BYTES == _POOL_HEADER:
                break  # the first of a new pool: the old ones are full


class Zygote:
    """Waits for requests and dead children; forks."""

    def __init__(self, parent: socket.socket, requests: socket.socket) -> None:
        self._parent = parent
        self._requests = requests
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe()
        self._config = snapshot.from_environment()
        #: Who the children are that have a name: workers of roles.
        self._names: dict[int, str] = {}

    def run(self) -> None:
        """Serve until the supervisor is gone."""
        for fd in (self._wake_read, self._wake_write):
            os.set_blocking(fd, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: os._exit(exitcodes.OK))
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        for source in (self._parent, self._requests, self._wake_read):
            self._selector.register(source, selectors.EVENT_READ)
        gc.collect()
        fill_gaps()
        gc.freeze()
        assert threading.active_count() == 1, "a zygote with threads would fork broken locks"
        self._parent.send(b"ready\n")
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._parent:
                    return  # the supervisor is gone; sessions go on without it
                if key.fileobj is self._requests:
                    self._serve_request()
                else:
                    self._reap()

    def _serve_request(self) -> None:
        data, fds, _, _ = socket.recv_fds(self._requests, MAX_REQUEST, MAX_FDS)
        if not data:
            os._exit(exitcodes.OK)
        request = json.loads(data)
        if request.get("kind") == "config":
            self._config = from_dict(request["config"], source="the supervisor")
            return
        pid = os.fork()
        if pid == 0:
            self._become_worker(request, fds)
        if "worker" in request:
            self._names[pid] = request["worker"]
        for fd in fds:
            os.close(fd)

    def _become_worker(self, request: dict[str, Any], fds: list[int]) -> None:
        code = exitcodes.FAILURE
        try:
            os.setsid()
            runtime.reset_signals()
            self._selector.close()
            self._parent.close()
            self._requests.close()
            os.close(self._wake_read)
            os.close(self._wake_write)
            if request["kind"] == "role":
                code = role.serve(request, fds, lambda: session.prepared()[0])
            else:
                code = session.serve(self._config, request, fds)
        finally:
            # Whatever happened: a forked child never runs on into its parent's loop.
            os._exit(code)

    def _reap(self) -> None:
        try:
            os.read(self._wake_read, 4096)
        except BlockingIOError:
            pass
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            message: dict[str, Any] = {"exited": pid, "code": os.waitstatus_to_exitcode(status)}
            if pid in self._names:
                message["worker"] = self._names.pop(pid)
            try:
                self._requests.send(json.dumps(message).encode())
            except OSError:
                return


def main(argv: list[str]) -> None:
    """`python -P -m khive_workers.zygote --parent-fd N --requests-fd N`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--parent-fd", type=int, required=True)
    parser.add_argument("--requests-fd", type=int, required=True)
    options = parser.parse_args(argv)
    runtime.reset_signals()
    runtime.name_process("khive-zygote")
    logs.to_stderr("warning")
    session.warm()
    zygote = Zygote(
        socket.socket(fileno=options.parent_fd), socket.socket(fileno=options.requests_fd)
    )
    zygote.run()


if __name__ == "__main__":
    main(sys.argv[1:])
