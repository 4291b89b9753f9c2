"""Turns of a conversation are told from other texts by their speakers."""

from __future__ import annotations

import pytest

from khive_supervisor.text.turns import is_conversation

CHAT = ["Ada: where is the port set?", "[10:02] Dr. Lee (chair): in gateway.toml", "Ada: thanks"]


def test_turns_of_speakers_are_a_conversation() -> None:
    assert is_conversation(CHAT)
    assert is_conversation([*CHAT, *CHAT, "and one that goes on"])


@pytest.mark.parametrize(
    "texts",
    [
        CHAT[:2],
        ["https://example.org/a", "http://example.org/b", "ftp://example.org/c"],
        ["host:port", "a:b", "c:d"],
        ["The port is 8080.", "It is set in gateway.toml.", "Ada: thanks"],
        ["max_retries: 3", "timeout_ms: 5", "cache_dir: /tmp"],
        [],
    ],
)
def test_other_texts_are_none(texts: list[str]) -> None:
    assert not is_conversation(texts)
