"""Words that tell of a secret, and how much each tells: `password`, `API_KEY`, `token`; pure."""

from __future__ import annotations

import enum
import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass


class Tells(enum.IntEnum):
    """How much a label tells: what stands beside it has to look the more like a secret."""

    LITTLE = 1
    SECRET = 2
    PASSWORD = 3


#: What is in every label. A text without any of them has none.
STEMS = (
    "passw", "passphrase", "passcode", "pwd", "secret", "token", "key", "credential", "auth",
    "bearer", "pass", "cookie", "session", "kennwort", "contrase", "webhook", "dsn", "login",
    "pw", "psk",
)  # fmt: skip
_STEM = re.compile("|".join(STEMS))
_PASSWORDS = re.compile(
    r"pass(?:w(?:or[dt]s?|d)|phrase|code)|[^a-z]pass(?:$|[^a-z])|pwd|(?:^|[^a-z])pw(?:$|[^a-z])|(?:^|[^a-z])psk$|kennwort|contrase[nñ]a"
)
_SECRETS = re.compile(
    r"secret|token|credential|bearer|webhook"
    r"|(?:api|app|access|account|auth|secret|private|priv|service|client|license|licence|admin"
    r"|master|signing|sign|encryption|encrypt|storage|subscription|deploy|shared|write|ingest"
    r"|consumer|integration|server|root|read|project|rest|global)[ _.-]?keys?(?:$|[^a-z])"
)
#: What the end of a label says when the value is about a secret rather than one.
_ABOUT = re.compile(
    r"(?:id|ids|name|names|url|uri|path|file|dir|type|types|count|len|length|size|hash|hashes|policy"
    r"|format|field|prefix|suffix|regex|pattern|expires|expiry|ttl|limit|index|error|errors|class"
    r"|info|version|store|cache|env|var|arn|ref|header|params?|bytes|bits|func|list|map|code"
    r"|provider|manager|handler|endpoint|ring|pair|usage|fingerprint|failed|required|invalid)\d?$"
)
#: Words that have a stem in them and tell nothing.
_OTHER = re.compile(
    r"tokeni[sz]|keyword|keyboard|keystroke|keynote|monkey|turkey|hockey|whiskey|donkey|jockey"
    r"|author(?!i[sz])|passe[ds]|passing|passag|passiv|compass|bypass|keyframe|hotkey|keypress"
    r"|keydown|keyup|keycode|sqlite_"
)
#: What stands before the name of a type of resources: `AWS::AppSync::ApiKey`.
_TYPE = re.compile(r"\baws::\w{1,30}::$")
#: Words that tell of what is no secret.
_OPEN = re.compile(
    r"public[ _-]?key|pubkey|idempotency[ _-]?key"
    r"|(?:next|page|pagination|continuation|starting|change|idempotency|request)[ _-]?token"
)
_WORD_SIGNS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_-ñ")
#: Characters of a label to each side of its stem.
_REACH = 40


@dataclass(frozen=True, slots=True)
class Label:
    """A label in a text: its place, and what it tells."""

    start: int
    end: int
    tells: Tells


def labels(lowered: str) -> Iterator[Label]:
    """Return the labels of a text in lower case, in order."""
    end = -1
    for stem in _STEM.finditer(lowered):
        if stem.start() < end:
            continue
        start, end = _extent(lowered, stem.start(), stem.end())
        if _OTHER.search(lowered, start, end) or _OPEN.search(lowered, max(0, start - 12), end):
            continue
        if lowered.endswith("::", 0, start) and _TYPE.search(lowered, max(0, start - 40), start):
            continue
        yield Label(start, end, _tells(lowered, start, end))


@functools.lru_cache(maxsize=256)
def told_by(name: str) -> Tells | None:
    """Return what a name by itself tells, as that of a field; None: nothing."""
    lowered = name.lower()
    found = list(labels(lowered))
    return max((one.tells for one in found), default=None)


def _extent(lowered: str, start: int, end: int) -> tuple[int, int]:
    """Return where the word around a stem begins and ends."""
    first, last = max(0, start - _REACH), min(len(lowered), end + _REACH)
    while start > first and lowered[start - 1] in _WORD_SIGNS:
        start -= 1
    while end < last and lowered[end] in _WORD_SIGNS:
        end += 1
    return start, end


def _tells(lowered: str, start: int, end: int) -> Tells:
    # A word or two before it: "API key", "secret access key".
    phrase = lowered[max(0, start - 12) : end]
    word = lowered[start:end]
    if word == "pass":
        return Tells.PASSWORD if lowered[end : end + 1] in "=:" else Tells.LITTLE
    if _ABOUT.search(word) and not _SECRETS.fullmatch(word):
        return Tells.LITTLE
    if _PASSWORDS.search(word):
        return Tells.PASSWORD
    if _SECRETS.search(phrase):
        return Tells.SECRET
    return Tells.LITTLE
