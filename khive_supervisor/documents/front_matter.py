"""The block of YAML above a Markdown document: its title, its tags, and the rest as text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from khive_supervisor.documents.model import TAG_LENGTH, TAGS_LIMIT, TITLE_LIMIT

#: Characters of a block from which on it is text: people write a few lines there.
LIMIT = 16_384
#: Brackets from which on it is text, since the time that YAML takes grows with their square.
_NESTED_LIMIT = 500
#: The keys whose values become tags.
_TAG_KEYS = frozenset({"tags", "tag"})
_WORDS = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class FrontMatter:
    """What a block says. `text` is what of it is neither title nor tags, `written` all of it."""

    title: str = ""
    tags: tuple[str, ...] = ()
    text: str = ""
    written: str = ""


def read(block: str) -> FrontMatter | None:
    """Return what a block says, or None: it is no front matter, but a text between two rules.

    That is a block of YAML's mapping lines with no blank line at its start. The nodes are looked
    at and no objects are made of them: aliases are never followed, tags of YAML mean nothing.
    """
    mapping = None if _is_text(block) else _mapping(block)
    if mapping is None:
        return None
    title, tags, rest = "", list[str](), list[str]()
    for key, value, written in _pairs(mapping, block):
        used: list[str] = []
        if key == "title" and not title:
            title = " ".join(_scalar(value).split())[:TITLE_LIMIT]
            used = [title]
        elif key in _TAG_KEYS:
            used = _tags(value)
            tags += used
        if (key != "title" and key not in _TAG_KEYS) or not _said_by(written, [key, *used]):
            rest.append(written.strip("\n"))
    text = "\n".join(rest).strip() if not mapping.flow_style else block.strip()
    return FrontMatter(title, tuple(dict.fromkeys(tags))[:TAGS_LIMIT], text, block.strip())


def _is_text(block: str) -> bool:
    first = block.split("\n", 1)[0]
    nested = block.count("[") + block.count("{")
    return not first.strip() or len(block) > LIMIT or nested > _NESTED_LIMIT


def _mapping(block: str) -> yaml.MappingNode | None:
    try:
        node = yaml.compose(block, yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError, ValueError):
        return None
    return node if isinstance(node, yaml.MappingNode) else None


def _pairs(mapping: yaml.MappingNode, block: str) -> Iterator[tuple[str, yaml.Node, str]]:
    """Each key, its value, and the lines that say them; comments belong to what is above them."""
    starts = [key.start_mark.index for key, _ in mapping.value]
    starts[:1] = [0] if starts else []
    ends = [*starts[1:], len(block)]
    for (key, value), start, end in zip(mapping.value, starts, ends, strict=True):
        yield _scalar(key).lower(), value, block[start:end]


def _scalar(node: yaml.Node) -> str:
    return str(node.value) if isinstance(node, yaml.ScalarNode) else ""


def _tags(node: yaml.Node) -> list[str]:
    """A list of tags, or a text of them with commas or blanks between; with or without a #."""
    if isinstance(node, yaml.SequenceNode):
        found = [_scalar(item) for item in node.value]
    else:
        text = _scalar(node)
        found = text.split(",") if "," in text else text.split()
    tags = (tag.strip().lstrip("#").strip() for tag in found)
    return [tag for tag in tags if 0 < len(tag) <= TAG_LENGTH][:TAGS_LIMIT]


def _said_by(written: str, values: list[str]) -> bool:
    """Return True if the values have every word that is written (a comment may have more)."""
    known = set(_WORDS.findall(" ".join(values).lower()))
    return set(_WORDS.findall(written.lower())) <= known
