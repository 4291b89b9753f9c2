"""Which failures say that a candidate was not available, rather than that it failed; pure.

What is recognised is what services and their clients say in these cases, as status codes and in
words. An error that is not recognised is a failure like any other.
"""

from __future__ import annotations

import re

from khive_supervisor.routing.model import NO_KEY, OVERLOADED, RATE_LIMITED

#: What a service's status says; others say nothing of the candidate.
_STATUS = {401: NO_KEY, 403: NO_KEY, 402: RATE_LIMITED, 429: RATE_LIMITED}
_OVERLOADED = frozenset({502, 503, 504, 529})

_WORDS = (
    (
        RATE_LIMITED,
        re.compile(
            r"\brate.?limit|\btoo many requests\b|\busage limit\b|\bquota\b.{0,40}\b(exceeded|"
            r"reached|exhausted)|\bout of credits?\b|\bcredit balance\b|\bresource_?exhausted\b",
            re.IGNORECASE,
        ),
    ),
    (
        OVERLOADED,
        re.compile(
            r"\boverloaded(_error)?\b|\bservice unavailable\b|\bbad gateway\b|"
            r"\bgateway time-?out\b|\bat capacity\b",
            re.IGNORECASE,
        ),
    ),
    (
        NO_KEY,
        re.compile(
            r"\b(invalid|missing|incorrect|no)\s+(api|access|auth\w*)[ _-]?(key|token)|"
            r"\bauthentication_error\b|\bnot logged in\b|\bplease (run|log ?in)\b.{0,20}\blogin\b|"
            r"\bunauthori[sz]ed\b",
            re.IGNORECASE,
        ),
    ),
)
_NUMBER = re.compile(
    r"\b(?:status|http|error|code)\b[ :=/\"']{1,4}(?:code[ :=]*)?([45]\d\d)\b", re.IGNORECASE
)
_RETRY = re.compile(
    r"\b(?:retry|try again)[ -]?(?:after|in)[ :=\"']{0,4}"
    r"(\d{1,5}(?:\.\d+)?)\s*(ms|s\b|sec|m\b|min)?",
    re.IGNORECASE,
)
_FACTOR = {"ms": 0.001, "m": 60.0, "min": 60.0}
#: Characters of an error that are looked at: its beginning.
_LOOKED_AT = 4000


def of_status(status: object) -> str:
    """Return the fault that a service's status stands for; empty: it is none."""
    if isinstance(status, bool) or not isinstance(status, int):
        return ""
    return OVERLOADED if status in _OVERLOADED else _STATUS.get(status, "")


def of_text(text: str) -> str:
    """Return the fault that an error tells of; empty: it tells of none."""
    text = text[:_LOOKED_AT]
    for found in _NUMBER.finditer(text):
        if fault := of_status(int(found[1])):
            return fault
    return next((kind for kind, words in _WORDS if words.search(text)), "")


def of_error(error: BaseException) -> str:
    """Return the fault that an exception stands for, as clients of services raise them."""
    status = getattr(error, "status_code", None) or getattr(error, "status", None)
    if fault := of_status(status):
        return fault
    name = type(error).__name__
    return RATE_LIMITED if "RateLimit" in name else ""


def retry_after(text: str) -> float | None:
    """Return after how many seconds an error lets one try again; None: it does not say."""
    found = _RETRY.search(text[:_LOOKED_AT])
    if found is None:
        return None
    return float(found[1]) * _FACTOR.get((found[2] or "").lower(), 1.0)
