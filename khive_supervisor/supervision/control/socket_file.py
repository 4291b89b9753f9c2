"""The control socket's file, and the one beside it: who may bind it, and who may remove it."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import struct
import sys

from khive_supervisor.attach.channel import FORWARDED
from khive_supervisor.config.settings.model import Config
from khive_supervisor.control.client import check_socket_path
from khive_supervisor.errors import AlreadyRunning, BootFailure
from khive_supervisor.host import durable
from khive_supervisor.host.paths import make_private_directory

#: Connections that may wait: fifty sessions at once, twice.
BACKLOG = 128
#: Seconds that the probe of an existing socket may take.
PROBE_DEADLINE = 2.0


class Rendezvous:
    """The bound socket, and the proof that the file is ours."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._bound: os.stat_result | None = None
        self._listener: socket.socket | None = None

    @property
    def listener(self) -> socket.socket:
        """The listening socket; it is bound."""
        assert self._listener is not None
        return self._listener

    def bind(self) -> None:
        """Bind and listen; call with the store's lock held.

        Raises:
            BootFailure: the directory is not safe, or the path is no socket.
            AlreadyRunning: somebody answers there.
        """
        check_socket_path(self.path)
        prepare_directory(os.path.dirname(self.path))
        self._clear_stale()
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        old = os.umask(0o177)
        try:
            listener.bind(self.path)
        except OSError as error:
            listener.close()
            raise BootFailure(
                f"The socket {self.path} cannot be bound: {error.strerror}.",
                hint="Set KHIVE_SOCKET to a path in a directory of yours on a local disk.",
            ) from error
        finally:
            os.umask(old)
        listener.listen(BACKLOG)
        self._keep(listener, os.stat(self.path))

    def _keep(self, listener: socket.socket, found: os.stat_result) -> None:
        listener.setblocking(False)
        self._bound = found
        self._listener = listener

    def adopt(self, fd: int) -> bool:
        """Go on with a socket that this process listened at before it was replaced.

        Return false, and close it, if the path is another one or names another file by now.
        """
        listener = socket.socket(fileno=fd)
        try:
            found = os.stat(self.path)
            same = listener.getsockname() == self.path and stat.S_ISSOCK(found.st_mode)
        except OSError:
            same = False
        if not same:
            listener.close()
            return False
        listener.set_inheritable(False)
        self._keep(listener, found)
        return True

    def missing(self) -> bool:
        """Return whether the socket that others would find is not the one that we bound."""
        return self._bound is not None and not self._lies_there(self._bound)

    def _lies_there(self, bound: os.stat_result) -> bool:
        try:
            return os.path.samestat(os.stat(self.path), bound)
        except OSError:
            return False

    def _clear_stale(self) -> None:
        try:
            mode = os.lstat(self.path).st_mode
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(mode):
            raise BootFailure(
                f"{self.path} exists and is no socket; it was left alone.",
                hint="Move it away, or set KHIVE_SOCKET to another path.",
            )
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(PROBE_DEADLINE)
            try:
                probe.connect(self.path)
            except (ConnectionRefusedError, FileNotFoundError):
                os.unlink(self.path)
                return
            except OSError as error:  # slow or forbidden is not dead
                raise AlreadyRunning(
                    f"Something that cannot be reached has the socket {self.path}: {error}.",
                    hint="Find it with `lsof`, or set KHIVE_SOCKET to another path.",
                ) from error
        raise AlreadyRunning(
            f"Another process answers at {self.path}.",
            hint="Stop it, or set KHIVE_SOCKET for one of the two.",
        )

    def remove(self) -> bool:
        """Listen no more; remove the file if it is still ours, and say whether it was."""
        if self._listener is not None:
            self._listener.close()
        bound, self._bound = self._bound, None
        if bound is None or not self._lies_there(bound):
            return False
        os.unlink(self.path)
        return True


def prepare_directory(directory: str) -> None:
    """Create it for us alone, or check one that is there; never change its permissions.

    Raises:
        BootFailure: others may write there, so that they could put a socket of theirs in place.
    """
    try:
        make_private_directory(directory)
        found = os.stat(directory)
    except OSError as error:
        raise BootFailure(
            f"The socket's directory {directory} cannot be used: {error.strerror}.",
            hint="Set KHIVE_SOCKET to a path in a directory of yours.",
        ) from error
    shared = found.st_mode & 0o022 and not found.st_mode & stat.S_ISVTX
    if shared or (found.st_uid not in (os.getuid(), 0)):
        raise BootFailure(
            f"The socket's directory {directory} belongs to uid {found.st_uid} with mode "
            f"{stat.S_IMODE(found.st_mode):04o}: others could replace the socket.",
            hint=f"Run `chmod go-w {directory}` if it is yours, or set KHIVE_SOCKET elsewhere.",
        )


class AllowList:
    """The names of variables that attach passes on, in a file beside a socket.

    Attach reads no configuration; it has names of its own, and the file is there only while the
    configuration names others.
    """

    def __init__(self, socket_path: str) -> None:
        self._file = socket_path + ".env"

    def configure(self, config: Config) -> None:
        """Have attach pass on these names from now on; idempotent.

        Raises:
            OSError: the file could not be written; attach goes on with the one that is there.
        """
        names = config.session.env_allow
        if tuple(names) == FORWARDED:
            self.remove()
            return
        # Whole or not at all, since an attach may read it at this moment.
        durable.write_private(self._file, "\n".join(names).encode())

    def remove(self) -> None:
        """Let attach go by its own names; idempotent."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._file)


def peer_uid(conn: socket.socket) -> int | None:
    """The user at the other end, where the kernel tells."""
    return _peer(conn)[1]


def peer_pid(conn: socket.socket) -> int | None:
    """The process at the other end, likewise."""
    return _peer(conn)[0]


def _peer(conn: socket.socket) -> tuple[int | None, int | None]:
    if sys.platform != "linux":
        return None, None
    data = conn.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    pid, uid, _ = struct.unpack("3i", data)
    return pid, uid
