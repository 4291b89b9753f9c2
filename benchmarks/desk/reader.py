"""A browser of few words: one login, pages one after the other, and what a page is told."""

from __future__ import annotations

import http.client
import re
import socket
import threading
import time
from typing import Self
from urllib.parse import urlsplit

from benchmarks.core.installation import Installation
from benchmarks.core.processes import DEADLINE

#: Files that a page names, of its own.
_ASSETS = re.compile(r'(?:href|src)="(/desk/static/[^"]+)"')


class PageReader:
    """Asks for pages on one connection that is kept."""

    def __init__(self, khive: Installation) -> None:
        link = khive.run("open", "--print").stdout.strip()
        parts = urlsplit(link)
        self.host = parts.netloc
        self._connection = http.client.HTTPConnection(self.host, timeout=DEADLINE)
        self.cookie = ""
        self._ask(f"{parts.path}?{parts.query}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._connection.close()

    def _ask(self, path: str) -> bytes:
        headers = {"Cookie": self.cookie} if self.cookie else {}
        try:
            self._connection.request("GET", path, headers=headers)
            response = self._connection.getresponse()
        except (http.client.RemoteDisconnected, ConnectionError):
            self._connection.close()  # it was idle for long: as a browser, once more
            self._connection.request("GET", path, headers=headers)
            response = self._connection.getresponse()
        given = response.getheader("Set-Cookie", "")
        if given:
            self.cookie = given.partition(";")[0]
        data = response.read()
        assert response.status == 200, (path, response.status, data[:200])
        return data

    def page(self, path: str = "/") -> tuple[float, bytes]:
        """Return a page, and the milliseconds that it took."""
        began = time.perf_counter()
        data = self._ask(path)
        return (time.perf_counter() - began) * 1000, data

    def weight(self) -> int:
        """Return the bytes of the first page with all that it loads."""
        _, page = self.page()
        files = set(_ASSETS.findall(page.decode()))
        return len(page) + sum(len(self._ask(one)) for one in sorted(files))


class OpenPage:
    """A page that is open: told when something has changed, it asks for itself again."""

    def __init__(self, reader: PageReader) -> None:
        self._reader = reader
        host, _, port = reader.host.partition(":")
        self._sock = socket.create_connection((host, int(port)), timeout=DEADLINE)
        asked = f"GET /desk/live HTTP/1.1\r\nHost: {reader.host}\r\nCookie: {reader.cookie}\r\n\r\n"
        self._sock.sendall(asked.encode())
        self.changed = threading.Event()
        self.asked = 0
        self._closing = False
        self._page = b""
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    @property
    def page(self) -> bytes:
        """Return what it shows now."""
        return self._page

    def _follow(self) -> None:
        while not self._closing:
            try:
                data = self._sock.recv(65536)
            except TimeoutError:
                continue
            except OSError:
                return
            if not data:
                return
            if b"event: changed" in data or b"event: hello" in data:
                self._page = self._reader.page()[1]
                self.asked += 1
                self.changed.set()

    def close(self) -> None:
        """Close the page."""
        self._closing = True
        self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()
        self._thread.join(DEADLINE)
