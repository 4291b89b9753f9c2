"""Markdown: CommonMark's headings cut it, and what stands between them is kept as it is written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.front_matter import front_matter_plugin

from khive_supervisor.documents import front_matter
from khive_supervisor.documents.front_matter import FrontMatter
from khive_supervisor.documents.images import IMAGE, without_images
from khive_supervisor.documents.model import TITLE_LIMIT, DocumentEntry, LeftOut
from khive_supervisor.documents.pieces import pieces

_BETWEEN = " > "


@dataclass(frozen=True, slots=True)
class _Heading:
    """A heading of the document itself, none of a quotation or a list."""

    level: int
    name: str
    written: str


def split_markdown(text: str, source: str, title: str) -> Iterator[DocumentEntry | LeftOut]:
    """Markdown, cut at headings and then at paragraphs; headings become the title.

    Front matter gives title and tags to all entries, and the rest of its text to the first one.
    Embedded images are left out, one `LeftOut` each.
    """
    text, images = without_images(_lines_ended_alike(text))
    yield from [LeftOut(source, IMAGE)] * images
    above, text = _front_matter(text)
    first = above.text or (above.written if not text.strip() else "")
    for outline, body in sections(text, above.title):
        headings = _joined(above.title, outline) or title
        for piece in pieces(f"{first}\n\n{body}" if first else body):
            yield _entry(piece, headings, source, above)
        first = ""
    if first:
        for piece in pieces(first):
            yield _entry(piece, above.title or title, source, above)


def _entry(piece: str, title: str, source: str, above: FrontMatter) -> DocumentEntry:
    found: DocumentEntry = {"content": piece, "title": title[:TITLE_LIMIT], "source": source}
    if above.tags:
        found["tags"] = list(above.tags)
    return found


def _joined(title: str, outline: Sequence[str]) -> str:
    names = [name for name in outline if name]
    whole = [title, *names] if title and title not in names[:1] else names
    return _BETWEEN.join(whole)


def sections(text: str, above: str = "") -> Iterator[tuple[list[str], str]]:
    """The sections of Markdown: the headings above each, from the outermost, and its text.

    A heading with no text of its own and none beneath it is a section, too: its text is the
    heading. So is one that is too long to be in the titles of what stands beneath it. `above`:
    the title of the whole, which is in each title.
    """
    text = _lines_ended_alike(text)
    found = list(_sections(text.split("\n"), *_divided(text)))
    for (outline, body), empty in zip(found, _empty(found), strict=True):
        names = [heading.name for heading in outline if heading.name]
        long = len(_joined(above, names)) > TITLE_LIMIT
        own = outline[-1] if outline and outline[-1].name else None
        if own and long:
            yield names, f"{own.written}\n\n{body}" if body else own.written
        elif body or (own and empty):
            yield names, body or (own.name if own else "")


def _divided(text: str) -> tuple[list[Token], set[int]]:
    """The tokens of the document's own headings, each with its text's, and the lines of rules."""
    tokens = _parsed(_parser(), text)
    rules = {t.map[0] for t in tokens if t.type == "hr" and not t.level and t.map}
    own = [(t, inner) for t, inner in pairwise(tokens) if t.type == "heading_open" and not t.level]
    return [token for pair in own for token in pair], rules


def _sections(
    lines: Sequence[str], headings: Sequence[Token], rules: set[int]
) -> Iterator[tuple[tuple[_Heading, ...], str]]:
    """Each heading with those above it, and the lines beneath it; first what is above them all."""
    outline: tuple[_Heading, ...] = ()
    start = 0
    for token, inner in zip(headings[::2], headings[1::2], strict=True):
        first, last = token.map or (start, start)
        yield outline, _body(lines, start, first, rules)
        name = " ".join(inner.content.split())
        written = "\n".join(lines[first:last]).strip("\n")
        own = _Heading(int(token.tag[1]), name, written)
        outline = (*(one for one in outline if one.level < own.level), own)
        start = last
    yield outline, _body(lines, start, len(lines), rules)


def _empty(found: Sequence[tuple[tuple[_Heading, ...], str]]) -> list[bool]:
    """Return True for each section without text of which nothing beneath it says anything."""
    said = [False] * 8
    empty = []
    for outline, body in reversed(found):
        level = outline[-1].level if outline else 0
        nothing = not body and not any(said[level + 1 :])
        empty.append(nothing)
        says = bool(body) or bool(outline and outline[-1].name) or any(said[level + 1 :])
        said[level:] = [says or said[level]] + [False] * (7 - level)
    return empty[::-1]


def _body(lines: Sequence[str], start: int, end: int, rules: set[int]) -> str:
    """Return the lines as they are written, without blank lines and rules around them."""
    while start < end and (start in rules or not lines[start].strip()):
        start += 1
    while end > start and (end - 1 in rules or not lines[end - 1].strip()):
        end -= 1
    return "\n".join(lines[start:end])


def _front_matter(text: str) -> tuple[FrontMatter, str]:
    """The front matter of a document, and the text without it; without any, all of the text."""
    if not text.startswith("---"):
        return FrontMatter(), text
    # No more of it is parsed than can be front matter.
    head = text[: front_matter.LIMIT + 1024]
    tokens = _parsed(_front_parser(), head)
    if not tokens or tokens[0].type != "front_matter" or not tokens[0].map:
        return FrontMatter(), text
    lines = text.split("\n")
    end = tokens[0].map[1]
    found = front_matter.read("\n".join(lines[1 : end - 1]))
    return (FrontMatter(), text) if found is None else (found, "\n".join(lines[end:]))


def _lines_ended_alike(text: str) -> str:
    """The text as CommonMark sees it: every line ends with a newline, and there is no NUL."""
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\N{REPLACEMENT CHARACTER}")


def _parsed(parser: MarkdownIt, text: str) -> list[Token]:
    """Return the blocks of a text; what is inside of them is of no interest."""
    tokens: list[Token] = []
    parser.block.parse(text, parser, {}, tokens)
    return tokens


@cache
def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark")


@cache
def _front_parser() -> MarkdownIt:
    """Knows front matter alone."""
    parser = MarkdownIt("zero")
    front_matter_plugin(parser)
    return parser
