"""A webhook's request: its body, its headers, and its signature (Standard Webhooks). Pure.

The receiver computes HMAC-SHA256 over `id.timestamp.body` with the secret that both know, compares
it with `webhook-signature`, and refuses what is older than it likes.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import hashlib
import hmac
import json

from khive_supervisor.channels.messages import Message

VERSION = "v1"
#: What a secret begins with that is written in base64.
PREFIX = "whsec_"


def body_of(message: Message) -> bytes:
    """Return what is sent: the same bytes at each attempt."""
    at = dt.datetime.fromtimestamp(message.at, dt.UTC).isoformat(timespec="milliseconds")
    data = {
        "type": message.kind,
        "timestamp": at.replace("+00:00", "Z"),
        "data": message.data | {"id": message.key, "title": message.title, "text": message.text},
    }
    return json.dumps(data, ensure_ascii=True, separators=(",", ":")).encode()


def headers_of(message: Message, body: bytes, secret: str, now: float) -> dict[str, str]:
    """Return the headers of one attempt; without a secret nothing is signed."""
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "khive-supervisor",
        "Idempotency-Key": message.key,
        "webhook-id": message.key,
        "webhook-timestamp": str(int(now)),
    }
    if secret:
        signature = sign(secret, message.key, int(now), body)
        headers["webhook-signature"] = f"{VERSION},{signature}"
    return headers


def sign(secret: str, key: str, timestamp: int, body: bytes) -> str:
    """Return the signature in base64."""
    signed = f"{key}.{timestamp}.".encode() + body
    digest = hmac.new(_secret_bytes(secret), signed, hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def _secret_bytes(secret: str) -> bytes:
    """Return the secret itself: of `whsec_...` what base64 says, else the text as it is."""
    if secret.startswith(PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
        except (binascii.Error, ValueError):
            return secret.encode()
    return secret.encode()
