"""A verbs worker: serves one command line, on its control connection."""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Mapping

from khive_supervisor import exitcodes, logs
from khive_supervisor.config.settings.model import Config
from khive_supervisor.control import protocol
from khive_supervisor.control.requests import SessionRequest
from khive_supervisor.errors import InvalidInput, KhiveError
from khive_supervisor.host import paths
from khive_supervisor.text.plain_json import JsonObject
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Registry
from khive_workers.common.link import Link, make_context

log = logs.get("khive.verbs")


class VerbWorker:
    """Verbs on a control connection: one request at a time, until the client leaves."""

    def __init__(
        self, config: Config, registry: Registry, request: SessionRequest, fd: int
    ) -> None:
        self._config = config
        self._registry = registry
        self._request = request
        conn = socket.socket(fileno=fd)
        conn.setblocking(True)
        self._connection = protocol.Connection(conn)

    def run(self) -> int:
        """Serve until the client leaves; the exit code."""
        path = paths.env("KHIVE_SOCKET")
        assert path is not None
        link = Link(self._config, self._request, "verbs", path)
        link.connect()
        # A command is over after one word: if each were a session of its own, whoever repeats one
        # would outvote the others. What is said on a command line is its actor's.
        context = make_context(self._config, {**self._request, "session": ""}, path)
        context.hint, context.pause = link.hint, self._pause
        try:
            while (message := self._connection.receive()) is not None:
                self._connection.send(self._answer(context, message))
        except KhiveError as error:  # no frame: say so, since what follows cannot be understood
            log.warning("verbs.garbled", error=str(error))
            with contextlib.suppress(ConnectionError):
                self._connection.send({"error": error.as_dict()})
        except ConnectionError as error:
            log.debug("verbs.client_left", error=str(error))
        finally:
            link.count(context.counts())
            context.close()
            self._connection.close()
            link.close()
        return exitcodes.OK

    def _pause(self, seconds: float) -> None:
        """Wait, but no longer than the client does."""
        sock = self._connection.sock
        readable, _, _ = select.select([sock], [], [], seconds)
        if readable and not sock.recv(1, socket.MSG_PEEK):
            raise ConnectionResetError("the client has left")
        if readable:
            time.sleep(seconds)  # it has sent the next request: that one waits its turn

    def _run(self, context: Context, message: JsonObject) -> Mapping[str, object]:
        name = message.get("op")
        if not isinstance(name, str):
            raise InvalidInput("A request names no verb.", hint='Its "op" must be a string.')
        return self._registry.call(context, name, message.get("args"))

    def _answer(self, context: Context, message: JsonObject) -> Mapping[str, object]:
        identifier = message.get("id")

        def report(done: int, total: int, text: str) -> None:
            progress = {"done": done, "total": total, "text": text}
            self._connection.send({"id": identifier, "progress": progress})

        context.progress = report
        try:
            frame = {"id": identifier, "result": self._run(context, message)}
            protocol.encode(frame)
        except KhiveError as error:
            return {"id": identifier, "error": error.as_dict()}
        except ConnectionError:
            raise
        except Exception as error:  # noqa: BLE001 - a verb's bug must reach the client as an answer
            log.error("verb.crashed", verb=str(message.get("op")), error=repr(error))
            unexpected = KhiveError(f"The verb failed unexpectedly: {error!r}.")
            return {"id": identifier, "error": unexpected.as_dict()}
        return frame
