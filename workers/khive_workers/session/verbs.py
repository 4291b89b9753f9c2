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


def of_command(request: SessionRequest) -> SessionRequest:
    """Return a request without its session's name.

    A command is over after one word: if each were a session of its own, whoever repeats one would
    outvote the others. What is said on a command line is its actor's.
    """
    return {**request, "session": ""}


def serve_command(config: Config, registry: Registry, request: SessionRequest, fd: int) -> int:
    """Serve a command's connection until it leaves; the exit code."""
    path = paths.env("KHIVE_SOCKET")
    assert path is not None
    link = Link(config, request, "verbs", path)
    link.connect()
    context = make_context(config, of_command(request), path)
    context.hint = link.hint
    try:
        VerbConnection(registry, context, fd).serve()
    finally:
        link.count(context.counts())
        context.close()
        link.close()
    return exitcodes.OK


class VerbConnection:
    """Verbs on a control connection: one request at a time, until the client leaves."""

    def __init__(self, registry: Registry, context: Context, fd: int) -> None:
        """`fd` is owned from now on."""
        self._registry = registry
        self._context = context
        conn = socket.socket(fileno=fd)
        conn.setblocking(True)
        self._connection = protocol.Connection(conn)

    def serve(self) -> None:
        """Answer until the client has left."""
        context = self._context
        context.pause = self._pause
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
            self._connection.close()

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
