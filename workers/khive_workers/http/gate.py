"""Who may ask over HTTP: host, origin, size and token are looked at before anything else is.

Order matters: a page in a browser that was led here by a forged name learns nothing, not even
whether a token is right. Nothing that a refused request carries reaches the log.
"""

from __future__ import annotations

import hmac
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from khive_supervisor import logs
from khive_supervisor.access import tokens
from khive_workers.desk.guard import own_origin
from khive_workers.desk.paths import is_page
from khive_workers.http.limits import FailureLimit

log = logs.get("khive.http")

Headers = Iterable[tuple[bytes, bytes]]

#: What is answered without a token: that a process lives, and nothing else.
OPEN_PATHS = frozenset({"/healthz"})
#: What a token of one namespace is for, with all below /tasks/.
CONFINED_PATHS = frozenset({"/mcp", "/tasks"})
#: Where the state of a request has the namespace of its token.
NAMESPACE = "khive.namespace"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not let in, as it is answered."""

    status: int
    code: str
    message: str
    hint: str = ""
    headers: tuple[tuple[str, str], ...] = ()

    def response(self) -> JSONResponse:
        """Return the answer."""
        return error_response(self.status, self.code, self.message, self.hint, dict(self.headers))


def error_response(
    status: int, code: str, message: str, hint: str = "", headers: dict[str, str] | None = None
) -> JSONResponse:
    """Return an error in the form that all routes answer with."""
    body = {"error": {"code": code, "message": message, "hint": hint, "retryable": status == 503}}
    return JSONResponse(body, status, headers)


def hosts_of(host: str, port: int, more: Collection[str]) -> frozenset[bytes]:
    """Return what the Host of a request may be, in lower case."""
    own = [f"{host}:{port}" if ":" not in host else f"[{host}]:{port}", f"localhost:{port}"]
    return frozenset(name.lower().encode() for name in (*own, *more))


class GateRules:
    """The rules that one request is held to; used only from the worker's loop."""

    def __init__(
        self,
        token: str,
        hosts: Collection[bytes],
        origins: Collection[str],
        max_body: int,
        failures: FailureLimit,
    ) -> None:
        self._token = token.encode()
        self._hosts = frozenset(hosts)
        self._origins = frozenset(origin.lower().encode() for origin in origins)
        self._max_body = max_body
        self._failures = failures

    def check(self, path: str, headers: Headers) -> Refusal | None:
        """Return why a request is refused, or None."""
        found: dict[bytes, list[bytes]] = {}
        for name, value in headers:
            found.setdefault(name.lower(), []).append(value.strip())
        names = found.get(b"host", [])
        if len(names) != 1 or names[0].lower() not in self._hosts:
            return Refusal(421, "wrong_host", "This is not a name of this server.")
        if not self._admits(path, found.get(b"origin", []), names[0]):
            return Refusal(403, "denied", "Web pages may not ask here.", _ORIGIN_HINT)
        if path not in OPEN_PATHS and not is_page(path):
            refusal = self._check_token(path, found.get(b"authorization", []))
            if refusal is not None:
                return refusal
        return self._check_size(found.get(b"content-length", []))

    def namespace(self, headers: Headers) -> str | None:
        """Return the namespace that a request's token is confined to; None for the own token."""
        given = next((value for name, value in headers if name.lower() == b"authorization"), b"")
        return tokens.namespace_of(self._token.decode(), given.partition(b" ")[2].strip())

    def _admits(self, path: str, origins: list[bytes], host: bytes) -> bool:
        """Return True if a request may come from where it says; the page's come from itself."""
        if is_page(path):
            named = (origin.decode("latin-1") for origin in origins)
            return own_origin(named, host.decode("latin-1").lower())
        return all(origin.lower() in self._origins for origin in origins)

    def _check_token(self, path: str, given: list[bytes]) -> Refusal | None:
        if not given:
            return Refusal(401, "unauthorized", "A token is needed.", _TOKEN_HINT, _CHALLENGE)
        scheme, _, token = given[0].partition(b" ")
        if len(given) == 1 and scheme.lower() == b"bearer":
            if hmac.compare_digest(token.strip(), self._token):
                return None
            if tokens.namespace_of(self._token.decode(), token.strip()) is not None:
                return None if _is_for_confined(path) else _CONFINED
        wait = self._failures.failed()
        if not wait:
            return Refusal(401, "unauthorized", "The token is wrong.", _TOKEN_HINT, _CHALLENGE)
        later = (("Retry-After", str(wait)),)
        return Refusal(429, "too_many_failures", "Too many wrong tokens.", _TOKEN_HINT, later)

    def _check_size(self, given: list[bytes]) -> Refusal | None:
        if not given or int(given[0]) <= self._max_body:
            return None
        return too_large(self._max_body)


def _is_for_confined(path: str) -> bool:
    return path in CONFINED_PATHS or path.startswith("/tasks/")


_CONFINED = Refusal(
    403, "denied", "This token is for one namespace, and this is about all of them.",
    "The supervisor's own token may ask for it.",
)  # fmt: skip
_TOKEN_HINT = "`khive-supervisor http info` says where it is."  # noqa: S105 - no token itself
_ORIGIN_HINT = "http.allowed_origins names those that may."
_CHALLENGE = (("WWW-Authenticate", 'Bearer realm="khive"'),)


def too_large(limit: int) -> Refusal:
    """Return the refusal of a body that is longer than allowed."""
    return Refusal(413, "too_large", f"The body is larger than {limit} bytes (http.max_body).")


class Gate:
    """The ASGI application before all others."""

    def __init__(self, inner: ASGIApp, rules: GateRules) -> None:
        self._inner = inner
        self._rules = rules
        #: How many requests were refused, by the reason's code.
        self.refused: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or let in."""
        assert scope["type"] == "http"
        refusal = self._rules.check(scope["path"], scope["headers"])
        if refusal is not None:
            self._note(refusal)
            await refusal.response()(scope, receive, send)
            return
        connection: Any = scope.get("state", {}).get("connection")
        if scope["path"] not in OPEN_PATHS and not is_page(scope["path"]):
            if connection is not None:
                connection.trusted = True
            namespace = self._rules.namespace(scope["headers"])
            scope["state"] = {**scope.get("state", {}), NAMESPACE: namespace}
        await self._inner(scope, receive, send)

    def _note(self, refusal: Refusal) -> None:
        """Log a line for each power of two: a flood must not drown the rest."""
        self.refused[refusal.code] += 1
        count = self.refused[refusal.code]
        if count & (count - 1) == 0:
            log.warning("http.refused", status=refusal.status, reason=refusal.code, times=count)
