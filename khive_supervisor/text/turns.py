"""Which texts are the turns of a conversation, each by a speaker who is named first: pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

#: Texts that make a conversation, and the share of them that begin with a speaker.
FEWEST, SHARE = 3, 0.8
#: `Ada: `, `user: `, `[10:02] Dr. Lee (chair): `; no address, no key of a setting with signs in it.
_SPEAKER = re.compile(r"(?:\[[^\]\n]{1,30}\] ?)?(?P<who>[^\W\d_][\w .,'()-]{0,48}): \S")


def is_conversation(texts: Sequence[str]) -> bool:
    """Return True if texts in order are turns of speakers, of whom one at least speaks again."""
    spoken = [match["who"] for text in texts if (match := _SPEAKER.match(text))]
    again = len(set(spoken)) < len(spoken)
    return again and len(texts) >= FEWEST and len(spoken) >= SHARE * len(texts)
