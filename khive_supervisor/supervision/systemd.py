"""Telling systemd how the service is: a datagram to the socket that it named, or nothing.

The protocol is that of sd_notify(3); a service manager that does not listen is none of our worries.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass

from khive_supervisor import logs

log = logs.get("khive.systemd")

VARIABLE = "NOTIFY_SOCKET"

#: A user unit; `doctor --systemd-unit` prints it with the command of this installation. systemd
#: before 253 says that it ignores the second type, and goes by the first.
UNIT = """\
[Unit]
Description=khive-supervisor: shared memory for coding agents

[Service]
Type=notify
Type=notify-reload
ExecStart={command} start
KillMode=process
Restart=on-failure
RestartPreventExitStatus=3 4 6 7

[Install]
WantedBy=default.target
"""


@dataclass(frozen=True, slots=True)
class Notifier:
    """Sends states to the service manager; without an address it does nothing.

    Attributes:
        address: the socket's path; one that begins with @ is abstract.
        clock: nanoseconds of the clock that systemd compares with, CLOCK_MONOTONIC.
    """

    address: str = ""
    clock: Callable[[], int] = time.monotonic_ns

    def ready(self, status: str = "") -> None:
        """The start, or a reload, is over."""
        self._send("READY=1", *_status(status))

    def reloading(self) -> None:
        """A reload begins; `ready` must follow."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={self.clock() // 1000}", *_status("Reloading."))

    def stopping(self) -> None:
        """The end begins."""
        self._send("STOPPING=1")

    def _send(self, *fields: str) -> None:
        if not self.address:
            return
        address = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            try:
                sock.sendto("\n".join(fields).encode("utf-8", "replace"), address)
            except OSError as error:
                log.warning("systemd.not_told", state=fields[0], error=str(error))


def from_environment(environ: MutableMapping[str, str]) -> Notifier:
    """The notifier of the socket that the environment names; the name is taken out of it.

    Nobody that this process starts is to speak to its service manager.
    """
    address = environ.pop(VARIABLE, "")
    return Notifier(address if address.startswith(("/", "@")) else "")


def unit(interpreter: str) -> str:
    """A user unit that starts the installation which this interpreter belongs to."""
    command = os.path.join(os.path.dirname(interpreter), "khive-supervisor")
    if not os.path.exists(command):
        command = f"{interpreter} -P -m khive_supervisor"
    return UNIT.format(command=command.replace("%", "%%"))


def _status(text: str) -> tuple[str, ...]:
    return (f"STATUS={' '.join(text.split())}",) if text else ()
