"""Whether a session did something with what was put into its context; pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

#: Of the figures and names that only the entry had, the share that has to come up again.
SHARE = 0.5
_TELLING = re.compile(r"`[^`\n]+`|\b\d[\d.,:/_-]*\b|\b\w+(?:[._/-]\w+)+\b|\b[A-Za-z]{7,}\b")


def made_use(entry: str, shown: str, asked: str, said: Sequence[str]) -> bool:
    """Return True if what was said later has the entry's id, or what only the entry could tell.

    Args:
        entry: its text.
        shown: its id, as agents cite it.
        asked: the prompt, whose own words prove nothing.
        said: the agent's later answers, commands and paths.
    """
    later = " ".join(said)
    if re.search(rf"(?<![\w-]){re.escape(shown)}(?![\w-])", later):
        return True
    known = asked.lower()
    telling = {one.strip("`").lower() for one in _TELLING.findall(entry)}
    own = {one for one in telling if one not in known}
    found = [one for one in own if one in later.lower()]
    return bool(own) and len(found) >= SHARE * len(own)
