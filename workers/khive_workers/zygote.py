"""The zygote: imports everything once, then forks a worker per request in milliseconds.

The only process of the project that forks, so its rules are strict: one thread, no database
connection, no lock; a child gets the descriptors of its own client and closes all others.

One child is forked ahead, while nobody asks: a spare, which waits for its client. A session that
gets it saves the fork.
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
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from khive_supervisor import exitcodes, logs
from khive_supervisor.config import snapshot
from khive_supervisor.config.load import from_dict
from khive_supervisor.control.protocol import MAX_FDS
from khive_supervisor.control.requests import RoleRequest, SessionRequest
from khive_supervisor.host import descriptors
from khive_supervisor.text.plain_json import JsonObject
from khive_workers import preload
from khive_workers.common import heap, runtime
from khive_workers.common.halted import LOOK_EVERY, Halted, is_stopped
from khive_workers.role import worker as role
from khive_workers.session import worker as session

log = logs.get("khive.zygote")

#: Bytes of one request; a sequenced packet is received whole or cut.
MAX_REQUEST = 256 * 1024


#: Seconds without a request after which a spare is made: of many clients that come at once, none
#: waits for another one's.
QUIET = 0.005


@dataclass(frozen=True, slots=True)
class Spare:
    """A child that waits for a request; the end of its channel is its end."""

    pid: int
    channel: socket.socket


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
        self._spare: Spare | None = None
        self._spare_due = True
        self._ending = False
        self._halted = Halted(lambda: not is_stopped(os.getppid()))

    def run(self) -> None:
        """Serve until the supervisor is gone."""
        for fd in (self._wake_read, self._wake_write):
            os.set_blocking(fd, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._asked_to_end)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        for source in (self._parent, self._requests, self._wake_read):
            self._selector.register(source, selectors.EVENT_READ)
        gc.collect()
        heap.fill_gaps()
        gc.freeze()
        assert threading.active_count() == 1, "a zygote with threads would fork broken locks"
        self._parent.send(b"ready\n")
        while not self._ending:
            events = self._selector.select(self._patience())
            if self._halted:
                self._halted.see_to(time.monotonic())
            if not events and self._spare_due:
                self._prepare_spare()
            for key, _ in events:
                if key.fileobj is self._parent:
                    if not runtime.answer_parent(self._parent.fileno()):
                        self._ending = True  # the supervisor is gone; sessions go on without it
                elif key.fileobj is self._requests:
                    self._serve_request()
                else:
                    self._reap()
        self._serve_rest()
        self._halted.end_stopped()

    def _patience(self) -> float | None:
        """Seconds until something is due though nobody asks."""
        if self._spare_due:
            return QUIET
        return LOOK_EVERY if self._halted else None

    def _asked_to_end(self, *_: object) -> None:
        self._ending = True

    def _serve_rest(self) -> None:
        """Serve what was asked before the end: a client waits for each of these."""
        self._requests.setblocking(False)
        try:
            while True:
                self._serve_request()
        except OSError:
            return

    def _serve_request(self) -> None:
        data, fds = descriptors.receive(self._requests, MAX_REQUEST, MAX_FDS)
        if not data:
            os._exit(exitcodes.OK)
        request = json.loads(data)
        if request.get("kind") == "config":
            self._config = from_dict(request["config"], source="the supervisor")
            self._dismiss_spare()  # it has the old one
            return
        pid = 0 if request["kind"] == "role" else self._give_spare(data, fds)
        if not pid:
            pid = os.fork()
            if pid == 0:
                self._become(lambda: self._serve(request, fds))
            if "worker" in request:
                self._names[pid] = request["worker"]
        for fd in fds:
            os.close(fd)
        named = {name: request[name] for name in ("session", "worker", "pid") if name in request}
        self._send({"began": pid, **named})

    def _serve(self, request: JsonObject, fds: list[int]) -> int:
        if request["kind"] == "role":
            return role.serve(cast("RoleRequest", request), fds, lambda: session.prepared()[0])
        return session.serve(self._config, cast("SessionRequest", request), fds)

    def _become(self, work: Callable[[], int]) -> None:
        """Run as a child that does this and nothing else, with nothing of the zygote's."""
        code = exitcodes.FAILURE
        try:
            os.setsid()
            runtime.reset_signals()
            self._selector.close()
            self._parent.close()
            self._requests.close()
            os.close(self._wake_read)
            os.close(self._wake_write)
            if self._spare is not None:
                self._spare.channel.close()  # else it would not notice the zygote's end
            code = work()
        finally:
            # Whatever happened: a forked child never runs on into its parent's loop.
            os._exit(code)

    # --- the spare ------------------------------------------------------------------------------

    def _prepare_spare(self) -> None:
        self._spare_due = False
        ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            pid = os.fork()
        except OSError as error:  # no process to be had now: those that are asked for matter more
            log.debug("zygote.no_spare", error=str(error))
            ours.close()
            its.close()
            return
        if pid == 0:
            ours.close()
            self._become(lambda: self._wait_for_client(its))
        its.close()
        self._spare = Spare(pid, ours)

    def _wait_for_client(self, channel: socket.socket) -> int:
        runtime.name_process("khive-spare")
        # Waiting, it keeps no pipe of the zygote open: the supervisor reads those to their end.
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 1)
        os.dup2(null, 2)
        os.close(null)
        data, fds = descriptors.receive(channel, MAX_REQUEST, MAX_FDS)
        channel.close()
        return self._serve(json.loads(data), fds) if data else exitcodes.OK

    def _give_spare(self, data: bytes, fds: list[int]) -> int:
        """Let the spare serve a request; its process, or 0 if there is none."""
        spare = self._spare
        if spare is None:
            self._spare_due = True  # again, if the last one could not be had or has ended
            return 0
        try:
            socket.send_fds(spare.channel, [data], fds)
        except OSError:
            self._dismiss_spare()  # it was killed; it is reaped like any other
            return 0
        self._dismiss_spare()
        return spare.pid

    def _dismiss_spare(self) -> None:
        """Let go of the spare, if there is one: it has its client, or ends."""
        if self._spare is not None:
            self._spare.channel.close()
            self._spare, self._spare_due = None, True

    def _reap(self) -> None:
        try:
            os.read(self._wake_read, 4096)
        except BlockingIOError:
            pass
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if self._halted.note(pid, status, time.monotonic()):
                continue
            if self._spare is not None and pid == self._spare.pid:
                self._dismiss_spare()
                self._spare_due = False  # not again and again, if it cannot live
            message: dict[str, object] = {"exited": pid, "code": os.waitstatus_to_exitcode(status)}
            if pid in self._names:
                message["worker"] = self._names.pop(pid)
            if not self._send(message):
                return

    def _send(self, message: Mapping[str, object]) -> bool:
        """Say something to the supervisor; False if it is gone."""
        try:
            self._requests.send(json.dumps(message).encode())
        except OSError:
            return False
        return True


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
    preload.preload()
    zygote = Zygote(
        socket.socket(fileno=options.parent_fd), socket.socket(fileno=options.requests_fd)
    )
    zygote.run()


if __name__ == "__main__":
    main(sys.argv[1:])
