"""Images that lie inside a text as base64: nobody looks for them, and they would fill the index."""

from __future__ import annotations

import re

#: Characters of base64 from which on it is an image and no example of one.
_PAYLOAD = r"data:[\w.+/-]{0,80}(?:;[\w.=+-]{1,80}){0,4};base64,[A-Za-z0-9+/=_%-]{64,}"
_MARKDOWN = re.compile(rf"!\[([^\[\]\n]{{0,1000}})\]\(\s{{0,9}}<?{_PAYLOAD}>?[^()\n]{{0,300}}\)")
_TAG = re.compile(rf"<img\b[^<>]{{0,1000}}{_PAYLOAD}[^<>]{{0,1000}}>", re.IGNORECASE)
_ALTERNATIVE = re.compile(r"""\balt\s*=\s*(?:"([^"]*)"|'([^']*)')""", re.IGNORECASE)
_BARE = re.compile(_PAYLOAD)
_SIGN = ";base64,"
#: Why an image inside a text is not learned.
IMAGE = "an embedded image"


def without_images(text: str) -> tuple[str, int]:
    """Return the text without its embedded images, and how many there were; their captions stay."""
    if _SIGN not in text:
        return text, 0
    text, in_markdown = _MARKDOWN.subn(r"\1", text)
    text, in_tags = _TAG.subn(_caption, text)
    text, bare = _BARE.subn("", text)
    return text, in_markdown + in_tags + bare


def _caption(tag: re.Match[str]) -> str:
    found = _ALTERNATIVE.search(tag[0])
    return (found[1] or found[2] or "") if found else ""
