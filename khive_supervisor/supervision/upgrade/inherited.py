"""What a supervisor's process keeps when it becomes another release (see `handover`)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from khive_supervisor.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Inherited:
    """What the process has kept through its replacement: descriptors, and the socket's path."""

    release: str
    socket: str
    lock: int
    listener: int
    http: int | None = None

    @classmethod
    def parse(cls, text: str) -> Inherited:
        """What `--take-over` says; fields of other releases are left out.

        Raises:
            InvalidInput: it was not written by a supervisor.
        """
        try:
            data = json.loads(text)
            return cls(
                release=str(data["release"]),
                socket=str(data["socket"]),
                lock=int(data["lock"]),
                listener=int(data["listener"]),
                http=None if data.get("http") is None else int(data["http"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidInput(f"--take-over is for supervisors only: {error!r}.") from None

    def text(self) -> str:
        """The same for the command line."""
        return json.dumps(asdict(self))
