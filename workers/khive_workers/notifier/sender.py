"""The process that sends one channel's messages: it may hang, and is killed then.

    python -P -m khive_workers.notifier.sender

Each line on its standard input is one message, each on its standard output what came of it:
{"verdict": "delivered" | "later" | "never", "why": "...", "retry_after": 0.0}. It ends at the end
of its input, at once, whatever it is doing: the notifier is gone, or has lost its patience.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading

from khive_supervisor.channels.retrying import Attempt, Verdict
from khive_supervisor.text.plain_json import JsonObject
from khive_workers.common import runtime
from khive_workers.notifier import sending


def answer(line: bytes) -> JsonObject:
    """Send one message; return what came of it as plain data."""
    try:
        found = sending.send(json.loads(line))
    except Exception as error:  # noqa: BLE001 - a defect here must be a failed attempt, with a name
        found = Attempt(Verdict.LATER, f"it could not be sent: {type(error).__name__}")
    return {"verdict": found.verdict, "why": found.why, "retry_after": found.retry_after}


def _read(lines: queue.SimpleQueue[bytes]) -> None:
    """Hand on what comes in; the end of it is the end of this process."""
    for line in iter(sys.stdin.buffer.readline, b""):
        lines.put(line)
    os._exit(0)


def main() -> None:
    """Answer line by line until the input ends."""
    runtime.reset_signals()
    runtime.name_process("khive-sender")
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(lines,), name="input", daemon=True).start()
    while True:
        found = json.dumps(answer(lines.get())).encode() + b"\n"
        os.write(sys.stdout.fileno(), found)


if __name__ == "__main__":
    main()
