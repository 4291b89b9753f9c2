"""The settings of the HTTP worker; see `model`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from khive_supervisor.config.settings.values import declare

_MINUTE, _HOUR = 60.0, 3600.0
_KIB, _MIB = 1 << 10, 1 << 20


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """MCP, metrics and the operator's routes over HTTP; off until it is enabled."""

    enabled: bool = declare(
        False,
        "boolean",
        "Serve HTTP on this machine: MCP, metrics, reload, roles and tasks; "
        "`start --http` does the same once.",
        trust="user",
    )
    host: Literal["127.0.0.1", "::1"] = declare(
        "127.0.0.1",
        "text",
        "The address to listen at. Only the loopback: for others, put a proxy with TLS and "
        "accounts of its own before it.",
        choices=("127.0.0.1", "::1"),
        trust="user",
    )
    port: int = declare(
        8766,
        "integer",
        "The port to listen at; 0 takes a free one, which `status` shows.",
        minimum=0,
        maximum=65535,
        trust="user",
    )
    allowed_hosts: tuple[str, ...] = declare(
        (),
        "list",
        "What a request's Host may be besides 127.0.0.1:PORT, localhost:PORT and [::1]:PORT: "
        "a proxy's name, as it is sent.",
        maximum=100,
        pattern=r"[^\s/*]+",
        form="each a host, with its port if it has one",
        trust="user",
    )
    allowed_origins: tuple[str, ...] = declare(
        (),
        "list",
        "Origins of web pages that may ask. Without any, a request that names an origin is "
        "refused: no browser has business here.",
        maximum=100,
        pattern=r"[a-z][a-z0-9+.-]*://[^\s/*]+",
        form="each a scheme, :// and a host",
        trust="user",
    )
    max_body: int = declare(
        4 * _MIB,
        "size",
        "The largest body of a request; a larger one is answered with 413.",
        minimum=_KIB,
        maximum=64 * _MIB,
        trust="user",
    )
    max_connections: int = declare(
        64,
        "integer",
        "Connections at once. When they are used up, the oldest that has not yet shown the "
        "token makes room.",
        minimum=4,
        maximum=10_000,
        trust="user",
    )
    max_sessions: int = declare(
        32,
        "integer",
        "MCP sessions of the handshake era at once. One more ends the one that has been idle "
        "for the longest time; it is answered with 503 only while all are at work.",
        minimum=1,
        maximum=10_000,
        trust="user",
    )
    session_timeout: float = declare(
        30 * _MINUTE,
        "duration",
        "How long an MCP session may be without a request before it ends.",
        minimum=1,
        maximum=7 * 24 * _HOUR,
        trust="user",
    )
    request_timeout: float = declare(
        10.0,
        "duration",
        "How long a client may take to send a request whole, or to read its answer.",
        minimum=0.1,
        maximum=10 * _MINUTE,
        trust="user",
    )
    wrong_tokens: int = declare(
        10,
        "integer",
        "Wrong tokens within a minute after which others are answered with 429; the right "
        "one is always let in.",
        minimum=1,
        maximum=10_000,
        trust="user",
    )
