"""Where a team's server is, without its password, and where a node keeps its replica (pure)."""

from __future__ import annotations

import hashlib
import os.path
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

#: The file of a replica, in a directory of its own: its index lies beside it.
REPLICA = "khive.db"
_SCHEMES = ("postgresql", "postgres")


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """A server's URL as it may be shown, and the password that it had."""

    url: str
    password: str = ""


def address_of(url: str) -> ServerAddress:
    """Return a URL's two parts; the password may stand before the host or among the options.

    Raises:
        ValueError: it is no URL of PostgreSQL; the message does not repeat it.
    """
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES:
        raise ValueError(f"it does not begin with {_SCHEMES[0]}://")
    user, found, hosts = parts.netloc.rpartition("@")
    name, _, password = user.partition(":")
    options = parse_qsl(parts.query, keep_blank_values=True)
    asked = dict(options).get("password", "")
    query = parts.query
    if asked:
        kept = [(key, value) for key, value in options if key != "password"]
        query = urlencode(kept, quote_via=quote)
    place = f"{name}{found}{hosts}{parts.path}"
    shown = f"{parts.scheme}://{place}" + (f"?{query}" if query else "")
    return ServerAddress(shown, unquote(password) or asked)


def replica_path(store_path: str, url: str) -> str:
    """Return where the replica of a server lies: beside the store that this machine had alone.

    The same for a path that is that of a replica already.
    """
    folder = "team-" + hashlib.blake2s(url.encode(), digest_size=4).hexdigest()
    directory = os.path.dirname(store_path)
    if os.path.basename(directory) != folder:
        directory = os.path.join(directory, folder)
    return os.path.join(directory, REPLICA)
