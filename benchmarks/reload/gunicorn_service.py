"""A web service by gunicorn, and how it takes SIGHUP: installed apart, its own default settings."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.core.installation import clean_environment
from benchmarks.core.processes import alive, wait_until

APP = """def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["QUERY_STRING"].encode()]
"""
#: Seconds for one request.
PATIENCE = 5.0


class Gunicorn:
    """One master with four workers, its configuration and its application."""

    def __init__(self, python: Path, home: Path) -> None:
        self.home = home
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.configure("timeout = 30\n")
        self.write(APP)
        self._process = subprocess.Popen(
            [
                *(str(python.with_name("gunicorn")), "-c", "gunicorn.conf.py", "-w", "4"),
                *("-b", f"127.0.0.1:{self.port}", "served:app"),
            ],
            env=clean_environment(home),
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=(home / "gunicorn.log").open("ab"),
            start_new_session=True,
        )

    def configure(self, text: str) -> None:
        """Write its configuration."""
        (self.home / "gunicorn.conf.py").write_text(text, encoding="utf-8")

    def write(self, source: str) -> None:
        """Write its application."""
        (self.home / "served.py").write_text(source, encoding="utf-8")

    def reload(self) -> None:
        """As its manual says."""
        if alive(self._process.pid):
            os.kill(self._process.pid, signal.SIGHUP)

    def ask(self, number: int) -> str:
        """One request of a connection of its own: empty if it was answered rightly, or why not."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request("GET", f"/?{number}")
            answer = connection.getresponse()
            right = answer.status == 200 and answer.read() == str(number).encode()
        except ConnectionRefusedError:
            return "refused"
        except (OSError, http.client.HTTPException) as error:
            return f"lost ({type(error).__name__})"
        else:
            return "" if right else f"status {answer.status}"
        finally:
            connection.close()

    def end(self) -> None:
        """Stop it, and whatever is left of its session."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


@contextmanager
def serving(python: Path, home: Path) -> Iterator[Gunicorn]:
    """A service that answers."""
    home.mkdir(parents=True, exist_ok=True)
    gunicorn = Gunicorn(python, home)
    try:
        wait_until(lambda: not gunicorn.ask(0), "gunicorn answers", 30)
        yield gunicorn
    finally:
        gunicorn.end()
