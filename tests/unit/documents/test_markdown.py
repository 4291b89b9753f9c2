"""Markdown: what becomes an entry, and that nothing of a document is dropped unsaid."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from khive_supervisor.documents.images import without_images
from khive_supervisor.documents.markdown import split_markdown
from khive_supervisor.documents.model import TITLE_LIMIT, DocumentEntry, LeftOut

IMAGE = "data:image/png;base64," + "iVBORw0KGgo" * 20


def entries(items: Iterable[Any]) -> list[DocumentEntry]:
    return [item for item in items if isinstance(item, dict)]


def found(text: str) -> list[tuple[str, str]]:
    return [(e["title"], e["content"]) for e in entries(split_markdown(text, "s", "f.md"))]


CASES = {
    "a rule at the start is no front matter": (
        "---\n\nThe code is 5521.\n\n---\n\nSecond.\n",
        [("f.md", "The code is 5521.\n\n---\n\nSecond.")],
    ),
    "text between two rules": (
        "---\nno mapping here\n---\nmore\n",
        [("no mapping here", "more")],
    ),
    "a list between two rules": ("---\n- a\n- b\n---\nmore\n", [("f.md", "- a\n- b\n---\nmore")]),
    "front matter that never ends": ("---\na: b\n\ntext\n", [("f.md", "a: b\n\ntext")]),
    "front matter that is no YAML": (
        "---\na: [b\n---\ntext\n",
        [("a: [b", "text")],
    ),
    "rules alone": ("---\n\n***\n", []),
    "a heading alone": ("# A\n", [("A", "A")]),
    "headings without text": (
        "# Runbook\n## Drain the node\n",
        [("Runbook > Drain the node", "Drain the node")],
    ),
    "a heading with only rules beneath it": ("# A\n\n---\n", [("A", "A")]),
    "an empty heading beneath one": ("# A\n##\n", [("A", "A")]),
    "an empty heading with text": ("# A\n##\ntext\n", [("A", "text")]),
    "a level that is skipped": ("# A\n#### D\n## B\n", [("A > D", "D"), ("A > B", "B")]),
    "text only in the deepest": ("# A\n## B\n### C\nx\n", [("A > B > C", "x")]),
    "a fence in a longer one": (
        "# T\n````\n```\n# no heading\n```\n````\nafter\n",
        [("T", "````\n```\n# no heading\n```\n````\nafter")],
    ),
    "a fence with something after its marks goes on": (
        "# T\n```sh\n```extra\n# no heading\n```\n",
        [("T", "```sh\n```extra\n# no heading\n```")],
    ),
    "a fence that never ends": ("# T\n~~~\n# no heading\n", [("T", "~~~\n# no heading")]),
    "code by indentation": ("# T\n\n    # no heading\n", [("T", "    # no heading")]),
    "setext": ("One\n===\na\n\nTwo\n---\nb\n", [("One", "a"), ("One > Two", "b")]),
    "setext of two lines": ("One\nmore\n===\na\n", [("One more", "a")]),
    "an indented heading": ("   # A\nx\n", [("A", "x")]),
    "a closing # needs a space": (
        "# About C#\nx\n# Closed #\ny\n# Twice ## \nz\n",
        [("About C#", "x"), ("Closed", "y"), ("Twice", "z")],
    ),
    "a # without a space is text": ("#tag\n", [("f.md", "#tag")]),
    "headings of quotations and lists are their text": (
        "# T\n> # quoted\n\n- # listed\n",
        [("T", "> # quoted\n\n- # listed")],
    ),
    "a comment is kept, and is no heading": ("<!--\n# no\n-->\n", [("f.md", "<!--\n# no\n-->")]),
    "link definitions are kept": ("# T\n[a]: http://x.test\n", [("T", "[a]: http://x.test")]),
    "tables are kept as they are written": (
        "# T\n| a | b |\n|---|---|\n| 1 | 2 |\n",
        [("T", "| a | b |\n|---|---|\n| 1 | 2 |")],
    ),
    "title, tags and the rest": (
        "---\ntitle: Heron budget\naliases: [bird money]\ntags: [finance]\n---\nSee table.\n",
        [("Heron budget", "aliases: [bird money]\n\nSee table.")],
    ),
    "the title is above the headings": (
        "---\ntitle: Guide\n---\n# Use\nx\n",
        [("Guide > Use", "x")],
    ),
    "a title that is the first heading": ("---\ntitle: Use\n---\n# Use\nx\n", [("Use", "x")]),
    "nothing but front matter": ("---\ntitle: A\n---\n", [("A", "title: A")]),
    "nothing but tags": ("---\ntags: [x]\n---\n", [("f.md", "tags: [x]")]),
    "an end with dots": ("---\ntitle: A\n...\nx\n", [("A", "x")]),
    "a comment beside a title stays": (
        "---\ntitle: A # of plovers\n---\nx\n",
        [("A", "title: A # of plovers\n\nx")],
    ),
    "mappings and lists stay": (
        "---\nauthors:\n  - name: Kim\n---\nx\n",
        [("f.md", "authors:\n  - name: Kim\n\nx")],
    ),
    "an embedded image": (f"# T\n![a heron]({IMAGE})\n", [("T", "a heron")]),
    "an embedded image without a caption": (f"![]({IMAGE})\n\ntext\n", [("f.md", "text")]),
    "an embedded image of HTML": (f'<p><img src="{IMAGE}" alt="an owl"></p>\n', [
        ("f.md", "<p>an owl</p>")
    ]),
    "nothing": ("\n \n", []),
}  # fmt: skip


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"], ids=["unix", "windows", "mac"])
@pytest.mark.parametrize("name", CASES)
def test_what_becomes_an_entry(name: str, ends: str) -> None:
    text, expected = CASES[name]
    assert found(text.replace("\n", ends)) == expected


@pytest.mark.parametrize(
    ("written", "tags"),
    [
        ("tags: [a, b]", ["a", "b"]),
        ("tags:\n  - a\n  - b", ["a", "b"]),
        ("tags: a, b c", ["a", "b c"]),
        ("tags: a b", ["a", "b"]),
        ("tags: ['#a', \"#b/c\"]", ["a", "b/c"]),
        ("tag: a", ["a"]),
        ("Tags: [2026, true]", ["2026", "true"]),
        ("tags: [a, a]", ["a"]),
        ("tags:", None),
        ("tags: [[a]]", None),
        ("tags: {a: b}", None),
        (f"tags: [{'x' * 65}, a]", ["a"]),
        (f"tags: [{', '.join(f't{n}' for n in range(50))}]", [f"t{n}" for n in range(32)]),
    ],
)
def test_tags_of_front_matter(written: str, tags: list[str] | None) -> None:
    (entry,) = entries(split_markdown(f"---\n{written}\n---\nx\n", "s", "f.md"))
    assert entry.get("tags") == tags


def test_an_image_is_counted() -> None:
    items = list(split_markdown(f"![a]({IMAGE})\n\n{IMAGE}\n", "s", "f.md"))
    assert [item.why for item in items if isinstance(item, LeftOut)] == ["an embedded image"] * 2


# --- nothing is lost -----------------------------------------------------------------------------

LINES = st.sampled_from(
    ["# Alpha", "## Beta b", "###", "#### Delta #", "Gamma\n---", "Eps\n===", "---", "***", "...",
     "```", "````sh", "~~~", "one two", "- item", "> # quoted", "   # in", "    code", "", " ",
     "[ref]: http://r.test 'title'", "<div>", "<!-- note", "-->", "| a | b |", "|---|---|",
     "title: T x", "tags: [u, v]", "aliases: [w]", "key: {a: [b]}", "# comment", "a: &x [y]",
     "b: *x", "title:", "\t# tab", f"![alt]({IMAGE})", "x" * 400, "# " + "long " * 90, "\ufeff",
     "1. first", "  # deep", "\\# escaped", "&amp;", "#no", "# C#", "\u2028", "\x0c# feed"]
)  # fmt: skip
DOCUMENTS = st.lists(LINES, max_size=25).flatmap(
    lambda lines: st.sampled_from(["\n", "\r\n"]).map(lambda end: end.join(lines))
)
WORD = re.compile(r"[^\W_]+")


def words(text: str) -> set[str]:
    return set(WORD.findall(without_images(text)[0]))


@settings(max_examples=500)
@given(st.booleans(), DOCUMENTS)
@example(True, "title: T\n---\n")
def test_every_word_is_in_an_entry(front: bool, text: str) -> None:
    text = f"---\n{text}" if front else text
    kept: set[str] = set()
    for entry in entries(split_markdown(text, "s", "f.md")):
        assert entry["content"].strip()
        assert len(entry["title"]) <= TITLE_LIMIT
        kept |= words(" ".join([entry["title"], entry["content"], *entry.get("tags", ())]))
    # The names of the two keys whose values are the title and the tags say nothing.
    assert words(text) - kept <= {"title", "tags"}


@settings(max_examples=300)
@given(st.text(max_size=300))
def test_any_text_is_markdown(text: str) -> None:
    kept = {w for e in entries(split_markdown(text, "s", "f.md"))
            for w in words(f"{e['title']} {e['content']}")}  # fmt: skip
    assert words(text.replace("\0", " ")) <= kept | words("\N{REPLACEMENT CHARACTER}")


HOSTILE = {
    "headings": "# a\n" * 30_000,
    "quotations": ">" * 100_000,
    "nested lists": "".join("  " * min(n, 300) + "- a\n" for n in range(3000)),
    "brackets": "[" * 100_000,
    "stars": "* " * 50_000 + "x",
    "YAML of brackets": "---\na: " + "[" * 15_000 + "\n---\n",
    "YAML of aliases": "---\na: &a [x]\n" + "b: &b [*a,*a,*a]\n" * 300 + "---\nx\n",
    "one line": "word " * 400_000,
    "blank lines": "\n \n" * 100_000 + "x",
    "base64 that is none": "data:image/png;base64,x " * 50_000,
    "images that never end": "![" * 50_000 + ";base64," + "<img " * 20_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_text_takes_for_ever(name: str) -> None:
    # In quadratic time this would not end.
    assert entries(split_markdown(HOSTILE[name], "s", "f.md"))
