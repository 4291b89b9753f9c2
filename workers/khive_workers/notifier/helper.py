"""A process that sends, as the notifier sees it: started when needed, killed when it hangs."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from khive_supervisor.channels.retrying import Attempt, Verdict
from khive_supervisor.text.plain_json import JsonObject

#: Seconds beyond the channel's own limit: the process has that one itself, and says more by it.
GRACE = 3.0
#: Seconds without a message after which the process is let go of.
IDLE = 60.0
#: Bytes of the longest answer.
_ANSWER_LIMIT = 64 << 10


@dataclass(slots=True)
class Helper:
    """Sends one channel's messages, one at a time. Whatever happens there, it answers in time."""

    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    module: str = "khive_workers.notifier.sender"
    _process: asyncio.subprocess.Process | None = None

    async def send(self, request: JsonObject, patience: float) -> Attempt:
        """Send one message within a time in seconds, and a little more."""
        try:
            async with asyncio.timeout(patience + GRACE):
                return await self._ask(json.dumps(request).encode() + b"\n")
        except TimeoutError:
            await self.end()
            return Attempt(Verdict.LATER, f"it did not answer within {patience:g} s")
        except (OSError, ValueError) as error:
            await self.end()
            return Attempt(Verdict.LATER, f"it could not be sent: {type(error).__name__}")

    async def _ask(self, line: bytes) -> Attempt:
        process = await self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(line)
        await process.stdin.drain()
        answer = json.loads(await process.stdout.readline() or b"null")
        if not isinstance(answer, dict):
            await self.end()
            return Attempt(Verdict.LATER, "the process that sends has ended")
        return Attempt(Verdict(answer["verdict"]), str(answer["why"]), float(answer["retry_after"]))

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-P", "-m", self.module),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env=dict(self.environment),
                start_new_session=True,
                limit=_ANSWER_LIMIT,
            )
        return self._process

    async def end(self) -> None:
        """Kill the process with all that it has started; again is harmless."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # it has ended by itself
        await process.wait()
