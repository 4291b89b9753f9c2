"""Tokens of HTTP clients that are confined: made of the supervisor's own token, stored nowhere.

Such a token is a namespace with a code of it that only who has the own token can make. Whoever has
one can read the namespace's name in it, and make no other one.
"""

from __future__ import annotations

import base64
import hmac

#: Keeps a code of this from being one of anything else that the own token may be asked to sign.
_PURPOSE = b"khive http confine\0"


def confined(own: str, namespace: str) -> str:
    """Return the token of clients that see one namespace."""
    name = namespace.encode()
    return f"{_text(name)}.{_text(_code(own, name))}"


def namespace_of(own: str, token: bytes) -> str | None:
    """Return the namespace of a confined token; None: it is not one of this own token."""
    name, _, _ = token.partition(b".")
    try:
        namespace = base64.urlsafe_b64decode(name + b"=" * (-len(name) % 4)).decode()
    except ValueError:
        return None
    right = confined(own, namespace).encode()
    return namespace if hmac.compare_digest(token, right) else None


def _code(own: str, name: bytes) -> bytes:
    return hmac.digest(own.encode(), _PURPOSE + name, "sha256")


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
