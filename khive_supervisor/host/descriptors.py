"""Receiving descriptors over a socket: closed on exec, whichever process is started meanwhile."""

from __future__ import annotations

import array
import os
import socket

#: Has the kernel close them on exec from their first moment on (Linux); 0 elsewhere.
_CLOEXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)


def receive(
    sock: socket.socket, size: int, most: int, *, wait: bool = True
) -> tuple[bytes, list[int]]:
    """Return what comes next, and the descriptors that came with it; `b""` at the end.

    `socket.recv_fds` would do, if it did not leave out its flags.

    Args:
        sock: a Unix socket.
        size: bytes at most.
        most: descriptors at most; the kernel closes others.
        wait: whether a socket that waits is to wait here.

    Raises:
        BlockingIOError: nothing has come, and nobody is to wait.
        OSError: as `recv`.
    """
    found = array.array("i")
    flags = _CLOEXEC | (0 if wait else socket.MSG_DONTWAIT)
    data, ancillary, _, _ = sock.recvmsg(size, socket.CMSG_LEN(most * found.itemsize), flags)
    for level, kind, content in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            found.frombytes(content[: len(content) - len(content) % found.itemsize])
    if not _CLOEXEC:
        for fd in found:
            os.set_inheritable(fd, False)
    return data, list(found)
