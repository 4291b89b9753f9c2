"""Markdown as memories: Claude's own memory and instructions, and plain notes."""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from collections.abc import Callable, Iterator

from khive_supervisor.documents import front_matter
from khive_supervisor.documents.front_matter import FrontMatter
from khive_supervisor.documents.markdown import split_markdown
from khive_supervisor.documents.model import LeftOut
from khive_supervisor.exchange.model import FILE_LIMIT, FoundRecord, ReadFile, memory

#: Files of one folder.
_MOST_FILES = 20_000
#: A line of an index that names another file, and one that brings a file in.
_LISTED = re.compile(r"\s*[-*] \[[^\]]*\]\([^)]*\.md\).*")
_BROUGHT = re.compile(r"@\S+\s*")
_FIELD = re.compile(r"(?m)^(name|description|type|permalink):[ \t]*(.*)$")

Split = Callable[[str, str, Counter[str]], Iterator[FoundRecord]]


def files(path: str) -> list[str]:
    """Return the Markdown files of a folder, links too, or the file itself.

    A path that is a link stands for what it leads to, since somebody has named it.

    Raises:
        OSError: it cannot be read.
    """
    if not os.path.isdir(path):
        return [os.path.realpath(path)]
    found: list[str] = []
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        marked = sorted(one for one in names if one.lower().endswith((".md", ".markdown")))
        found += [os.path.join(folder, name) for name in marked]
    return found[:_MOST_FILES]


def read_text(path: str) -> tuple[str, str]:
    """Return the text of a regular file, or why there is none; a link is not followed."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            about = os.fstat(descriptor)
            if not stat.S_ISREG(about.st_mode) or about.st_size > FILE_LIMIT:
                return "", "is no regular file, or too large"
            return file.read(FILE_LIMIT).decode("utf-8-sig"), ""
    except UnicodeDecodeError:
        return "", "is not UTF-8"
    except OSError as error:
        return "", f"cannot be read: {error.strerror}"


def read_each(path: str, store: str, split: Split) -> ReadFile:
    """Return what each Markdown file of a folder says."""
    lost: Counter[str] = Counter()

    def found() -> Iterator[FoundRecord]:
        for file in files(path):
            if os.path.islink(file):
                lost["links to other files"] += 1
                continue
            text, why = read_text(file)
            if why:
                yield FoundRecord(file, problem=why)
            else:
                yield from split(text, file, lost)

    return ReadFile(store, found(), lost)


def read_markdown(path: str) -> ReadFile:
    """Return each section of plain Markdown as a memory."""
    return read_each(path, "markdown", sections)


def read_claude(path: str) -> ReadFile:
    """Return what Claude has noted, a memory a file, and the sections of its instructions."""
    return read_each(path, "claude", _claude)


def sections(text: str, path: str, lost: Counter[str], title: str = "") -> Iterator[FoundRecord]:
    """Return the sections of a text as memories."""
    for part in split_markdown(text, path, title):
        if isinstance(part, LeftOut):
            lost[part.why] += 1
            continue
        tags = list(part.get("tags", ()))
        record = memory(part["content"], title=part.get("title", ""), tags=tags, source=path)
        yield FoundRecord(path, record)


def _claude(text: str, path: str, lost: Counter[str]) -> Iterator[FoundRecord]:
    above, body = parted(text)
    fields = dict(_FIELD.findall(above.written))
    if fields.get("name") or fields.get("description"):
        said = [unquoted(fields.get("description", "")), body.strip()]
        content = "\n\n".join(dict.fromkeys(filter(None, said)))
        title = unquoted(fields.get("name", "")) or os.path.basename(path)
        tags = [*above.tags, unquoted(fields.get("type", ""))]
        yield FoundRecord(path, memory(content or title, title=title, tags=tags, source=path))
        return
    kept = []
    for line in text.split("\n"):
        if _LISTED.fullmatch(line):
            lost["lines of an index that name other files"] += 1
        elif _BROUGHT.fullmatch(line):
            lost["lines that bring other files in (@file)"] += 1
        else:
            kept.append(line)
    yield from _with_text(sections("\n".join(kept), path, lost, os.path.basename(path)))


def _with_text(found: Iterator[FoundRecord]) -> Iterator[FoundRecord]:
    """Return the records that say more than their heading."""
    for one in found:
        heading = str(one.record["title"]).rpartition(" > ")[2]
        if str(one.record["content"]).strip("# \n") != heading:
            yield one


def parted(text: str) -> tuple[FrontMatter, str]:
    """Return the front matter of a text, and what stands beneath it."""
    if not text.startswith("---\n"):
        return FrontMatter(), text
    block, rule, rest = text[4 : front_matter.LIMIT + 1024].partition("\n---\n")
    found = front_matter.read(block) if rule else None
    if found is None:
        return FrontMatter(), text
    return found, rest + text[front_matter.LIMIT + 1024 :]


def unquoted(value: str) -> str:
    """Return a value of front matter without the quotes around it."""
    value = value.strip()
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1] if quoted else value
