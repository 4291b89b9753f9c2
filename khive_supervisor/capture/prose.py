"""The words of a speaker's own: without what was pasted, quoted, or put there by a program; pure.

Whatever stands in a block, a quotation or an element of the client's is somebody else's: a page, a
file, the output of a command. It never becomes a fact by itself.
"""

from __future__ import annotations

import re

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
    r"\b(?:(?:web ?)?page|site|website|article|blog|docs?|documentation|readme|file|output|log|logs|"
    r"tool|command|result|comment|issue|ticket|email|e-mail|message|post|answer|error|paste|snippet|"
    r"it|they|he|she|who|which|that)\b[^.!?\n]{0,40}\b(?:says?|said|reads?|states?|tells?|told|"
    r"claims?|prints?|printed|asks?|instructs?|suggests?|recommends?|wants)\b|"
    r"\b(?:according to|quoting|quoted from|pasted?|copied from|from the (?:page|site|docs?|"
    r"readme|file|output|log))\b",
    re.IGNORECASE,
)
#: Long stretches between quotation marks.
_SPEECH = re.compile(r"[\"“«][^\"”»\n]{25,}[\"”»]")
#: What no rule of a project's needs, and a hostile page does.
_RUNS = re.compile(
    r"(?:curl|wget|iwr|invoke-webrequest)\b[^\n]*\|\s*(?:sudo\s+)?(?:ba|z|da|fi)?sh\b|\|\s*(?:ba|z)?sh\b"
    r"|\beval\b|\bbase64\b[^\n]*-d|rm\s+-rf\s+[/~]|\bignore (?:all |any )?(?:previous|prior|earlier)\b"
    r"|https?://\S+[^\n]*(?:\||-o\s)|\bchmod\s+777\b|\bdisable[^\n.]{0,30}(?:security|auth|verification)"
    r"|--no-verify\b|\b(?:exfiltrat|send|upload|post)\w*[^\n.]{0,40}(?:secret|token|password|credential|"
    r"\.env|ssh key|private key)",
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
    kept = [
        line for line in lines if not _QUOTED.match(line) and len(line) <= _PASTED_LINE
    ]
    return "\n".join(kept).strip()


def relayed(sentence: str) -> bool:
    """Return True if a sentence tells what somebody or something else says."""
    return _RELAYED.search(sentence) is not None or _SPEECH.search(sentence) is not None


def dangerous(text: str) -> bool:
    """Return True if a text holds what hostile instructions do: it is for people to look at."""
    return _RUNS.search(text) is not None
