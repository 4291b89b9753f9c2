"""Whether a server is who it says: checked unless it is on this machine, or the user says no."""

from __future__ import annotations

import configparser
import ipaddress
import os
from collections.abc import Mapping

#: libpq's release from which on the system's own certificate authorities can be asked.
_KNOWS_SYSTEM = 160000
#: What of libpq's words says that it was about trust.
_SAYS = ("SSL", "certificate", "TLS")
HINT = (
    "Put the certificate of the server's authority into ~/.postgresql/root.crt, or name its file "
    "in store.url: ?sslrootcert=FILE. `?sslmode=require` encrypts and checks nobody, `disable` "
    "does neither."
)


def options(
    said: Mapping[str, str], variables: Mapping[str, str], home: str, libpq: int
) -> dict[str, str]:
    """Return what is to be added to a connection's options, so that its server is checked.

    Args:
        said: the options of the URL.
        variables: the environment.
        home: where the user's own files are.
        libpq: its release, as a number.
    """
    service = _service(said.get("service") or variables.get("PGSERVICE", ""), variables, home)

    def chosen(option: str) -> str:
        return said.get(option) or variables.get(f"PG{option.upper()}") or service.get(option, "")

    hosts = (chosen("host") or chosen("hostaddr")).split(",")
    if chosen("sslmode") or all(map(_local, hosts)):
        return {}
    found = {"sslmode": "verify-full"}
    own = os.path.join(home, ".postgresql", "root.crt")
    if libpq >= _KNOWS_SYSTEM and not chosen("sslrootcert") and not os.path.exists(own):
        found["sslrootcert"] = "system"
    return found


def is_about(words: str) -> bool:
    """Return whether libpq's words say that a server was not trusted."""
    return any(word in words for word in _SAYS)


def _local(host: str) -> bool:
    if host in ("", "localhost") or host.startswith(("/", "@")):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _service(name: str, variables: Mapping[str, str], home: str) -> Mapping[str, str]:
    """Return the options of a service, as its file has them; none where it cannot be read."""
    if not name:
        return {}
    path = variables.get("PGSERVICEFILE") or os.path.join(home, ".pg_service.conf")
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read(path, encoding="utf-8")
        return dict(parser[name])
    except (configparser.Error, KeyError, UnicodeDecodeError):
        return {}
