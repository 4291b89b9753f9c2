"""The settings of the HTTP worker; see `model`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from khive_supervisor.config.settings.values import users_own

_MINUTE, _HOUR = 60.0, 3600.0
_KIB, _MIB = 1 << 10, 1 << 20


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """MCP, metrics and the operator's routes over HTTP; off until it is enabled."""

    enabled: bool = users_own(
        False,
        "boolean",
        "Serve HTTP on this machine: MCP, metrics, reload, roles and tasks; "
        "`start --http` does the same once.",
    )
    host: Literal["127.0.0.1", "::1"] = users_own(
        "127.0.0.1",
        "text",
        "The address to listen at. Only the loopback: for others, put a proxy with TLS and "
        "accounts of its own before it.",
        choices=("127.0.0.1", "::1"),
    )
    port: int = users_own(
        8766,
        "integer",
        "The port to listen at; 0 takes a free one, which `status` shows.",
        bounds=(0, 65535),
    )
    allowed_hosts: tuple[str, ...] = users_own(
        (),
        "list",
        "What a request's Host may be besides 127.0.0.1:PORT, localhost:PORT and [::1]:PORT: "
        "a proxy's name, as it is sent.",
        bounds=(None, 100),
        pattern=r"[^\s/*]+",
        form="each a host, with its port if it has one",
    )
    allowed_origins: tuple[str, ...] = users_own(
        (),
        "list",
        "Origins of web pages that may ask. Without any, a request that names an origin is "
        "refused: no browser has business here.",
        bounds=(None, 100),
        pattern=r"[a-z][a-z0-9+.-]*://[^\s/*]+",
        form="each a scheme, :// and a host",
    )
    max_body: int = users_own(
        4 * _MIB,
        "size",
        "The largest body of a request; a larger one is answered with 413.",
        bounds=(_KIB, 64 * _MIB),
    )
    max_connections: int = users_own(
        64,
        "integer",
        "Connections at once. When they are used up, the oldest that has not yet shown the "
        "token makes room.",
        bounds=(4, 10_000),
    )
    max_sessions: int = users_own(
        32,
        "integer",
        "MCP sessions of the handshake era at once. One more ends the one that has been idle "
        "for the longest time; it is answered with 503 only while all are at work.",
        bounds=(1, 10_000),
    )
    session_timeout: float = users_own(
        30 * _MINUTE,
        "duration",
        "How long an MCP session may be without a request before it ends.",
        bounds=(1, 7 * 24 * _HOUR),
    )
    request_timeout: float = users_own(
        10.0,
        "duration",
        "How long a client may take to send a request whole, or to read its answer.",
        bounds=(0.1, 10 * _MINUTE),
    )
    wrong_tokens: int = users_own(
        10,
        "integer",
        "Wrong tokens within a minute after which others are answered with 429; the right "
        "one is always let in.",
        bounds=(1, 10_000),
    )
