"""The HTTP worker as its supervisor sees it: the listening socket, the token's file, its state.

The socket is the supervisor's, and each worker gets a copy: while a worker that died is started
again, clients wait in the queue, and a port that was chosen by the system stays the same.
"""

from __future__ import annotations

import errno
import os
import secrets
import socket
import stat
from typing import TypedDict

from khive_supervisor import logs
from khive_supervisor.config.settings.http import HttpSettings
from khive_supervisor.host import durable
from khive_supervisor.host.paths import http_token_file
from khive_supervisor.supervision.processes.child import Child
from khive_supervisor.supervision.processes.states import ProcessState

log = logs.get("khive.http")

#: Bytes of chance in a token.
TOKEN_BYTES = 32
#: Bytes of a token's file that are kept.
MAX_TOKEN_BYTES = 4096
#: Connections that wait while nobody accepts them.
BACKLOG = 128


class HttpStatus(TypedDict):
    """What `status` shows of HTTP."""

    state: str
    url: str | None
    token_file: str | None
    problem: str


#: What it shows where nobody has asked for HTTP.
HTTP_OFF: HttpStatus = {"state": "off", "url": None, "token_file": None, "problem": ""}


class HttpFront:
    """Owns the listening socket from the worker's first start to the supervisor's end."""

    def __init__(self, settings: HttpSettings, socket_path: str) -> None:
        self._settings = settings
        self.token_file = http_token_file(socket_path)
        self._listener: socket.socket | None = None
        self._token = b""

    def keep_token(self) -> None:
        """Put the token's file back if it is gone: clients have this token. Raises OSError."""
        if self._token and not os.path.lexists(self.token_file):
            make_token(self.token_file, self._token)

    def open_channels(self) -> dict[str, socket.socket]:
        """What a worker needs of us; binds at the first call that can.

        Raises:
            OSError: the port or the token cannot be had; the next attempt may do better.
        """
        self._token = ensure_token(self.token_file)
        if self._listener is None:
            self._listener = listen(self._settings.host, self._settings.port)
            log.info("http.listening", url=self.url)
        return {"listen": self._listener.dup()}

    def adopt(self, fd: int) -> None:
        """Go on with a socket that this process listened at, unless the settings name another."""
        listener = socket.socket(fileno=fd)
        host, port = listener.getsockname()[:2]
        if host == self._settings.host and self._settings.port in (0, port):
            listener.set_inheritable(False)
            self._listener = listener
        else:
            listener.close()

    def descriptor(self) -> int | None:
        """The descriptor of the listening socket, if there is one."""
        return self._listener.fileno() if self._listener is not None else None

    @property
    def url(self) -> str | None:
        """Where it listens, or None while it does not."""
        return url_of(self._listener) if self._listener is not None else None

    def describe(self, child: Child) -> HttpStatus:
        """Return what `status` shows of it and its worker."""
        well = child.state in (ProcessState.READY, ProcessState.STARTING)
        return {
            "state": child.state.value,
            "url": self.url,
            "token_file": self.token_file,
            "problem": "" if well else child.last_words or child.last_exit,
        }

    def close(self) -> None:
        """Listen no more; idempotent."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None


def url_of(listener: socket.socket) -> str:
    """The URL of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; its address is the loopback's.

    Raises:
        OSError: it cannot be had; the text says what to do.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno != errno.EADDRINUSE:
            raise
        raise OSError(
            errno.EADDRINUSE,
            f"Port {port} of {host} is in use by another program. Set http.port to a free one, or "
            "0 for any; it is tried again by itself",
        ) from error
    return listener


def ensure_token(path: str) -> bytes:
    """Make the token's file unless there is a good one; its content.

    Raises:
        OSError: the file cannot be made, or others could have read what is in it.
    """
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        token = secrets.token_urlsafe(TOKEN_BYTES).encode() + b"\n"
        make_token(path, token)
        return token
    private = stat.S_ISREG(found.st_mode) and not stat.S_IMODE(found.st_mode) & 0o077
    if not private or found.st_uid != os.getuid() or not found.st_size:
        raise PermissionError(
            errno.EPERM,
            f"The token in {path} is not private to you, or empty. Remove the file: the next "
            "start makes a new token, which clients must then be given",
        )
    with open(path, "rb") as file:
        return file.read(MAX_TOKEN_BYTES)


def make_token(path: str, token: bytes) -> None:
    """Write the token's file anew; a worker may read it at any time. Raises OSError."""
    durable.write_private(path, token)
    log.info("http.token_made", file=path)
