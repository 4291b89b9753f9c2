"""Where a channel's messages go: variables filled in, secrets kept out of what is said. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from khive_supervisor.config.settings.channels import HIDDEN, WEBHOOK, Channel

_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
#: Parts of an address that are hidden wherever they are met; shorter ones are words.
SHORTEST_SECRET = 6


class Unusable(ValueError):
    """A channel that cannot be used now; the text says why, and names no secret."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to send, and what to sign with; never written anywhere."""

    url: str = ""
    secret: str = ""

    def hide(self, text: str) -> str:
        """Return a text without any part of the address that is secret."""
        for part in sorted(self._parts(), key=len, reverse=True):
            text = text.replace(part, HIDDEN)
        return text

    def _parts(self) -> set[str]:
        parts = {self.url, self.secret}
        if self.url:
            found = urlsplit(self.url)
            pieces = re.split(r"[/?&=:@]", f"{found.netloc}/{found.path}/{found.query}")
            host = found.hostname or ""
            parts |= {one for one in pieces if one.lower() != host and len(one) >= SHORTEST_SECRET}
            parts |= {unquote(one) for one in parts}
        return {one for one in parts if len(one) >= SHORTEST_SECRET}


def variables_of(channel: Channel) -> set[str]:
    """Return the names of the environment variables that a channel needs."""
    return set(_REFERENCE.findall(channel.url)) | set(_REFERENCE.findall(channel.secret))


def resolve(channel: Channel, environ: Mapping[str, str], read: Callable[[str], str]) -> Address:
    """Return where a channel's messages go.

    Args:
        channel: as it is configured, with its secrets.
        environ: the environment variables that it may name.
        read: returns the first line of a file, or raises OSError.

    Raises:
        Unusable: a variable is not set, a file cannot be read, or what they hold is no address.
    """
    url = _filled(channel.url, environ) or _of_file("url_file", channel.url_file, read)
    secret = _filled(channel.secret, environ) or _of_file("secret_file", channel.secret_file, read)
    if channel.kind == WEBHOOK:
        _check_http(url)
    return Address(url, secret)


def _filled(text: str, environ: Mapping[str, str]) -> str:
    missing = [name for name in _REFERENCE.findall(text) if not environ.get(name)]
    if missing:
        raise Unusable(f"the environment variable {missing[0]} is not set where it was started")
    return _REFERENCE.sub(lambda found: environ[found[1]], text)


def _of_file(key: str, path: str, read: Callable[[str], str]) -> str:
    if not path:
        return ""
    try:
        found = read(path)
    except OSError as error:
        raise Unusable(f"{key} cannot be read: {error.strerror}") from None
    if not found:
        raise Unusable(f"{key} is empty")
    return found


def _check_http(url: str) -> None:
    try:
        found = urlsplit(url)
        fits = found.scheme in ("http", "https") and bool(found.hostname) and url.isprintable()
        _ = found.port
    except ValueError:
        fits = False
    if not fits or " " in url:
        raise Unusable("the url is not of http or https")
