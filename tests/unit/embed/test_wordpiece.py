"""The tokenizer against the Rust one, on real text and on made-up text."""

from __future__ import annotations

import pydoc_data.topics
import sys
import unicodedata
from collections.abc import Iterator
from importlib import import_module, metadata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import WordPiece as RustWordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import BertProcessing

from khive_supervisor.embed.bundled import model_files
from khive_supervisor.embed.wordpiece import CACHED, LONGEST_CACHED, WordPiece, read_vocabulary

LIMIT = 256
VOCABULARY = read_vocabulary(model_files().vocabulary)


def rust_tokenizer() -> Tokenizer:
    """The published tokenizer's parts: what its tokenizer.json names."""
    made = Tokenizer(RustWordPiece(VOCABULARY, unk_token="[UNK]", max_input_chars_per_word=100))
    made.normalizer = BertNormalizer(lowercase=True, handle_chinese_chars=True)
    made.pre_tokenizer = BertPreTokenizer()
    made.post_processor = BertProcessing(("[SEP]", 102), ("[CLS]", 101))
    made.enable_truncation(LIMIT)
    return made


RUST = rust_tokenizer()


@pytest.fixture
def ours() -> WordPiece:
    return WordPiece(VOCABULARY)


def assert_same(ours: WordPiece, texts: list[str]) -> None:
    for text, encoding in zip(texts, RUST.encode_batch(texts), strict=True):
        assert ours.encode(text, LIMIT) == encoding.ids, text


def docstrings() -> Iterator[str]:
    """Real text that every Python has: documentation of its modules, and their sources."""
    yield from pydoc_data.topics.topics.values()
    for name in (
        "argparse",
        "asyncio",
        "datetime",
        "http.client",
        "json",
        "logging",
        "os",
        "re",
        "shutil",
    ):
        module = import_module(name)
        yield from (found for value in vars(module).values() if (found := value.__doc__))
    for distribution in metadata.distributions():
        yield distribution.read_text("METADATA") or ""


def test_agrees_on_real_text(ours: WordPiece) -> None:
    texts = list(docstrings())
    assert len(texts) > 300
    assert_same(ours, texts)
    lines = [line for text in texts for line in text.splitlines()]
    assert_same(ours, lines)


def test_agrees_on_code(ours: WordPiece) -> None:
    sources = [
        line
        for name in ("email.message", "tarfile", "_pydecimal")
        for line in Path(import_module(name).__file__ or "").read_text("utf-8").splitlines()
    ]
    assert len(sources) > 5000
    assert_same(ours, sources)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \t\r\n\u3000 ",
        "Ünïcödé çà et là, déjà vu",
        "ΟΔΥΣΣΕΥΣ ΟΔΟΣ ς",
        "İstanbul IĞDIR ı",
        "日本語のテキストと漢字mixed with latin",
        "한국어 문장입니다.",
        "Привет, мир! Ёжик",
        "नमस्ते दुनिया",
        "שָׁלוֹם עולם",
        "مرحبا بالعالم",
        "naïve café cafe\u0301",
        "zero\u200bwidth soft\u00adhyphen byte\ufefforder",
        "nul\x00 escape\x1b[31m bell\x07 del\x7f nel\x85 end",
        "a\x0bb\x0cc\x1cd\u2028e\u2029f",
        "don't e-mail foo_bar/baz.py:12 `x+=1` $5 <b> ^~|",
        "camelCaseIdentifier SCREAMING_SNAKE x86_64 v1.2.3-rc4",
        "\ufffd replacement \ue000 private",
        "𠀀 extension B, 𪚥, 𫝀 \U0002b820 and beyond",
        "x" * 100,
        "x" * 101,
        "é" * 100 + " " + "é" * 101,
        "Ω" * 120,
        "🙂 👍🏽 🇪🇺",
        "\u0301 mark alone",
        "ﬁ ligature ² ½ №",
        "unaffable " * 300,
    ],
)
def test_agrees_on_hard_text(ours: WordPiece, text: str) -> None:
    assert_same(ours, [text])


#: Letters, marks, punctuation and white space of scripts whose tables have been settled for long.
SETTLED = st.characters(
    max_codepoint=0x2FFF,
    categories=("L", "M", "N", "P", "S", "Z", "Cc"),
)


def settled(text: str) -> bool:
    """Whether both sides' Unicode tables know every character and class it alike."""
    for character in text:
        try:
            old = unicodedata.ucd_3_2_0.category(character)
        except ValueError:
            return False
        if old == "Cn" or old != unicodedata.category(character):
            return False
    return True


@settings(max_examples=400)
@given(st.text(SETTLED.filter(settled), max_size=60))
def test_agrees_on_any_settled_characters(text: str) -> None:
    assert_same(WordPiece(VOCABULARY), [text])


@settings(max_examples=200)
@given(st.text(st.sampled_from("aeTX09 .,-_'\"/\t\nßÉñ漢字"), max_size=400))
def test_agrees_on_words_and_punctuation(text: str) -> None:
    assert_same(WordPiece(VOCABULARY), [text])


@settings(max_examples=200)
@given(st.text(), st.integers(2, 40))
def test_never_exceeds_its_limit_and_marks_both_ends(text: str, limit: int) -> None:
    ids = WordPiece(VOCABULARY).encode(text, limit)
    assert 2 <= len(ids) <= limit
    assert (ids[0], ids[-1]) == (101, 102)


def test_a_marker_in_the_text_is_text(ours: WordPiece) -> None:
    ids = ours.encode("[SEP] and [MASK]", LIMIT)
    assert ids.count(102) == 1
    assert 103 not in ids


def test_lone_surrogates_vanish(ours: WordPiece) -> None:
    assert ours.encode("a\ud800b", LIMIT) == ours.encode("ab", LIMIT)


def test_a_text_seen_before_has_the_same_ids(ours: WordPiece) -> None:
    text = "Supervisors supervise; unaffable daemons re-fork. " * 3
    assert ours.encode(text, LIMIT) == ours.encode(text, LIMIT)


def test_what_it_remembers_is_bounded(ours: WordPiece) -> None:
    for number in range(CACHED + 10):
        ours.encode(f"word{number}", LIMIT)
    ours.encode("y" * (LONGEST_CACHED + 1), LIMIT)
    assert len(ours._cache) <= CACHED
    assert max(map(len, ours._cache)) <= LONGEST_CACHED


def test_a_huge_text_costs_no_more_than_its_beginning(ours: WordPiece) -> None:
    words = "alpha beta gamma " * 200_000
    assert ours.encode(words, LIMIT) == ours.encode(words[:5000], LIMIT)
    unbroken = "a," * 500_000
    assert ours.encode(unbroken, LIMIT) == ours.encode(unbroken[:1000], LIMIT)


def test_the_vocabulary_is_whole() -> None:
    assert len(VOCABULARY) == 30522
    assert sorted(VOCABULARY.values()) == list(range(30522))
    assert sys.getsizeof(VOCABULARY) < 4_000_000
