"""Which zone a reader's clock is in."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo

_OF_THIS_MACHINE = Path("/etc/localtime")


def zone_of(environment: Mapping[str, str]) -> dt.tzinfo:
    """Return the zone that an environment names by TZ, else that of this machine, else UTC."""
    return _named(environment.get("TZ", "").removeprefix(":"))


@lru_cache(maxsize=16)
def _named(name: str) -> dt.tzinfo:
    try:
        if name:
            return ZoneInfo(name)
        with _OF_THIS_MACHINE.open("rb") as file:
            return ZoneInfo.from_file(file)
    except (OSError, ValueError):
        return dt.UTC
