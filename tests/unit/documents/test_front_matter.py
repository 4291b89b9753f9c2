"""Front matter: what of a block of YAML becomes a title, what tags, and what stays as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.documents.front_matter import LIMIT, FrontMatter, read
from khive_supervisor.documents.model import TAG_LENGTH, TAGS_LIMIT, TITLE_LIMIT


def found(block: str) -> FrontMatter:
    matter = read(block)
    assert matter is not None
    assert matter.written == block.strip()
    return matter


@pytest.mark.parametrize(
    ("block", "title"),
    [
        ("title: Releases", "Releases"),
        ('title: "On releases: when"', "On releases: when"),
        ("Title: Releases", "Releases"),
        ("title: >\n  On\n  releases\n", "On releases"),
        ("title:   spaced    out", "spaced out"),
        ("title: 2026-11-21", "2026-11-21"),
        ("title: yes", "yes"),
        ("title:\nauthor: ada", ""),
        ("title: [a, b]", ""),
        ("author: ada", ""),
        ("title: first\ntitle: second", "first"),
    ],
)
def test_a_title_is_what_is_written(block: str, title: str) -> None:
    assert found(block).title == title


@pytest.mark.parametrize(
    ("block", "tags"),
    [
        ("tags: [release, support]", ("release", "support")),
        ("tags:\n  - release\n  - support", ("release", "support")),
        ("tags: release, support desk", ("release", "support desk")),
        ("tags: release support", ("release", "support")),
        ("tag: release", ("release",)),
        ('tags: ["#release", "# support"]', ("release", "support")),
        ("Tags: release", ("release",)),
        ("tags: [a, a, b]", ("a", "b")),
        ("tags: [a]\ntag: b", ("a", "b")),
        ("tags: ''", ()),
        ("tags: [{a: b}, c]", ("c",)),
        ("tags: " + "x" * (TAG_LENGTH + 1), ()),
    ],
)
def test_tags_are_lists_or_words(block: str, tags: tuple[str, ...]) -> None:
    assert found(block).tags == tags


def test_what_is_neither_title_nor_tag_stays_as_text() -> None:
    matter = found("title: Releases\nauthor: Ada\ntags: [release]\nstatus: draft # by bob\n")
    assert matter.text == "author: Ada\nstatus: draft # by bob"


def test_a_comment_beside_the_title_is_not_lost() -> None:
    assert found("title: Releases # of the shop").text == "title: Releases # of the shop"
    assert found("title: Releases # releases").text == ""
    assert found("# for the shop\ntitle: Releases").text == "# for the shop\ntitle: Releases"


def test_what_does_not_fit_into_a_title_or_tag_is_not_lost() -> None:
    long = "word " * TITLE_LIMIT
    matter = found(f"title: {long}x")
    assert len(matter.title) == TITLE_LIMIT
    assert matter.text.endswith("word x")
    many = ", ".join(f"t{number}" for number in range(TAGS_LIMIT + 5))
    matter = found(f"tags: [{many}]")
    assert len(matter.tags) == TAGS_LIMIT
    assert f"t{TAGS_LIMIT + 4}" in matter.text


def test_a_mapping_in_one_line_stays_as_it_is() -> None:
    matter = found("{title: Releases, status: draft}")
    assert (matter.title, matter.text) == ("Releases", "{title: Releases, status: draft}")


@pytest.mark.parametrize(
    "block",
    [
        "", "\ntitle: a", "just text", "- a\n- b", "title: [", "a: b: c", "\t: x", "*alias",
        "title: a\n" + "x" * LIMIT, "a: " + "[" * 501 + "]" * 501, "&a [*a]", "%YAML 9", "{",
    ],
)  # fmt: skip
def test_a_text_between_two_rules_is_a_text(block: str) -> None:
    assert read(block) is None


def test_aliases_are_never_followed_and_tags_of_yaml_mean_nothing() -> None:
    assert found("a: &x [1, 2]\nb: *x\ntitle: T").title == "T"
    assert found("title: !!python/object:os.system T").title == "T"
    bomb = "a0: &a0 [x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9)
    )
    assert found(f"{bomb}title: T").title == "T"


@given(st.text(max_size=200))
def test_any_text_is_read_or_is_a_text(block: str) -> None:
    matter = read(block)
    if matter is not None:
        assert matter.written == block.strip()
        assert len(matter.title) <= TITLE_LIMIT
        assert len(matter.tags) <= TAGS_LIMIT


WORDS = st.text(st.characters(categories=["Ll"], max_codepoint=0x17F), min_size=1, max_size=8)


@given(WORDS, st.lists(WORDS, max_size=4), st.dictionaries(WORDS, WORDS, max_size=3))
def test_every_word_is_found_again(title: str, tags: list[str], rest: dict[str, str]) -> None:
    lines = [f"{key}x: {value}y" for key, value in rest.items()]
    quoted = ", ".join(f'"{tag}"' for tag in tags)
    block = "\n".join([f'title: "{title}"', f"tags: [{quoted}]", *lines])
    matter = found(block)
    assert matter.title == title
    assert matter.tags == tuple(dict.fromkeys(tags))
    assert matter.text == "\n".join(lines)
