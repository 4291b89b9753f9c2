"""basic-memory's notes: Markdown with front matter, observations and relations."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator

from khive_supervisor.exchange.model import FoundRecord, ReadFile, memory
from khive_supervisor.exchange.notes import parted, read_each, read_text, sections, unquoted

#: - [category] text #tag (context)
_OBSERVATION = re.compile(r"\s*[-*] \[([^\]\[\s][^\]\[]{0,63})\] (\S.*)")
#: - relation [[Target]] (context)
_RELATION = re.compile(r"\s*[-*] (?:([^\[\]]{0,200}?)\s*)\[\[([^\[\]]{1,300})\]\]\s*(.*)")
_TASK = re.compile(r"[ xX-]")
_TAG = re.compile(r"(?<!\S)#([\w/-]{1,64})")
_FIELD = re.compile(r"(?m)^(title|permalink|type):[ \t]*(.*)$")
#: Files of a folder that are looked at to tell whose it is.
_LOOKED_AT = 20


def is_one_of_its(paths: Iterable[str]) -> bool:
    """Return True if one of the first files has front matter with a permalink, as its notes do."""
    for path in list(paths)[:_LOOKED_AT]:
        above, _ = parted(read_text(path)[0])
        if "permalink" in dict(_FIELD.findall(above.written)):
            return True
    return False


def read(path: str) -> ReadFile:
    """Return observations, relations as sentences, and what else its notes say."""
    return read_each(path, "basic-memory", _note)


def _note(text: str, path: str, lost: Counter[str]) -> Iterator[FoundRecord]:
    above, body = parted(text)
    fields = {name: unquoted(value) for name, value in _FIELD.findall(above.written)}
    title = fields.get("title") or os.path.splitext(os.path.basename(path))[0]
    source = fields.get("permalink") or path
    rest: list[str] = []
    for line in body.split("\n"):
        found = _observation(line, title, above.tags, source) or _relation(line, title, source)
        if found is None:
            rest.append(line)
        else:
            lost["relations became sentences"] += found["tags"] == ["relation"]
            yield FoundRecord(path, found)
    for one in sections("\n".join(rest), path, lost, title):
        if not _only_headings(str(one.record["content"]), title):
            tags = list(dict.fromkeys([*above.tags, *one.record["tags"]]))
            yield FoundRecord(path, {**one.record, "tags": tags, "source": source})


def _observation(
    line: str, title: str, tags: Iterable[str], source: str
) -> dict[str, object] | None:
    found = _OBSERVATION.fullmatch(line)
    if found is None or _TASK.fullmatch(found[1]):
        return None
    labels = [found[1], *_TAG.findall(found[2]), *tags]
    text = " ".join(_TAG.sub("", found[2]).split()) or found[2]
    return memory(f"{title}: {text}", title=title, tags=labels, source=source)


def _relation(line: str, title: str, source: str) -> dict[str, object] | None:
    found = _RELATION.fullmatch(line)
    if found is None:
        return None
    words = f"{title} {(found[1] or 'relates to').replace('_', ' ')} {found[2]} {found[3]}"
    return memory(" ".join(words.split()), title=title, tags=["relation"], source=source)


def _only_headings(content: str, title: str) -> bool:
    """Return True if a section is nothing but the name of what was taken out of it."""
    return content.strip("# \n") in (title, "Observations", "Relations")
