"""The words of a speaker's own: without what was pasted, quoted, or put there by a program; pure.

Whatever stands in a block, a quotation or an element of the client's is somebody else's: a page, a
file, the output of a command. It never becomes a fact by itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

#: Characters of a turn that are read; a longer one is a paste with a few words before it.
LONGEST = 12_000
#: Lines of a paragraph from which on it is pasted, and characters of a line that nobody types.
_PASTED_LINES, _PASTED_LINE = 15, 1500
_FENCE = re.compile(r"^[ \t]*(```+|~~~+).*?(?:^[ \t]*\1[^\n]*$|\Z)", re.DOTALL | re.MULTILINE)
#: Elements that clients and pastes put around what others say: `<system-reminder>…`, `<file>…`.
_ELEMENT = re.compile(r"<([a-zA-Z][\w-]{2,40})(?:\s[^<>]*)?>.*?(?:</\1\s*>|\Z)", re.DOTALL)
_QUOTED = re.compile(r"^[ \t]*(?:>|\||at |File \"|Traceback|\$ |\+\+\+ |--- |@@ |\d+[:|\t])")
#: What is said to come from elsewhere: all that follows in the paragraph is.
_RELAYED = re.compile(
    r"\b(?:(?:web ?)?page|site|website|article|blog|docs?|documentation|readme|file|output|logs?|"
    r"tool|command|result|comment|issue|ticket|email|e-mail|message|post|answer|error|paste|"
    r"snippet|it|they|he|she|who|which|that)\b[^.!?\n]{0,40}\b(?:says?|said|reads?|states?|tells?|"
    r"told|claims?|prints?|printed|asks?|instructs?|suggests?|recommends?|wants)\b|"
    r"\b(?:according to|quoting|quoted from|pasted?|copied from|"
    r"from the (?:page|site|docs?|readme|file|output|log))\b",
    re.IGNORECASE,
)
#: The same, of what is not a person and may go on for long.
_BY_DOCUMENT = re.compile(
    r"\b(?:(?:web ?)?page|site|website|article|blog|docs?|documentation|readme|file|output|logs?|"
    r"tool|comment|issue|ticket|e-?mail|paste|snippet)\b[^.!?\n]{0,40}\b(?:says?|said|reads?|"
    r"states?|tells?|told|claims?|instructs?)\b|\b(?:according to|quoting|quoted from|pasted?|"
    r"copied from|from the (?:page|site|docs?|readme|file|output|log))\b|"
    r"\b(?:says?|reads?|found this)\b[^.!?\n]{0,20}:$",
    re.IGNORECASE,
)
#: Long stretches between quotation marks.
_SPEECH = re.compile(r"[\"“«][^\"”»\n]{25,}[\"”»]")
#: What no rule of a project's needs, and a hostile page does.
_RUNS = re.compile(
    r"(?:curl|wget|iwr|invoke-webrequest)\b[^\n]*\|\s*(?:sudo\s+)?(?:ba|z|da|fi)?sh\b|"
    r"\|\s*(?:ba|z)?sh\b|\beval\b|\bbase64\b[^\n]*-d|rm\s+-rf\s+[/~]|"
    r"\bignore (?:all |any )?(?:previous|prior|earlier)\b|https?://\S+[^\n]*(?:\||-o\s)|"
    r"\bchmod\s+777\b|\bdisable[^\n.]{0,30}(?:security|auth|verification)|--no-verify\b|"
    r"\b(?:exfiltrat|send|upload|post)\w*[^\n.]{0,40}"
    r"(?:secret|token|password|credential|\.env|ssh key|private key)",
    re.IGNORECASE,
)


def own_words(text: str) -> str:
    """Return what a speaker says with words of their own; lines stay lines."""
    text = _ELEMENT.sub("\n\n", _FENCE.sub("\n\n", text[:LONGEST]))
    paragraphs = re.split(r"\n[ \t]*\n", text)
    return "\n\n".join(kept for one in paragraphs if (kept := _paragraph(one)))


def _paragraph(text: str) -> str:
    lines = text.split("\n")
    if len(lines) > _PASTED_LINES:
        return ""
    kept = [line for line in lines if not _QUOTED.match(line) and len(line) <= _PASTED_LINE]
    return "\n".join(kept).strip()


def relayed(sentence: str) -> bool:
    """Return True if a sentence tells what somebody or something else says."""
    return _RELAYED.search(sentence) is not None or _SPEECH.search(sentence) is not None


def trusted(sentences: Sequence[str]) -> list[str]:
    """Return the sentences that are the speaker's: up to where a page or file begins to speak."""
    kept: list[str] = []
    for sentence in sentences:
        if _BY_DOCUMENT.search(sentence):
            break
        if not relayed(sentence) and not dangerous(sentence):
            kept.append(sentence)
    return kept


def dangerous(text: str) -> bool:
    """Return True if a text holds what hostile instructions do: it is for people to look at."""
    return _RUNS.search(text) is not None
