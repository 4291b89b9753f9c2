"""Odd and bad contents of good messages: stored as they are or refused, never half of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support import Installation, RawSession

from khive_supervisor.control.client import ControlClient
from khive_supervisor.errors import KhiveError

MIB = 1 << 20

pytestmark = pytest.mark.usefixtures("nobody_else_pays")


# --- contents and queries ------------------------------------------------------------------------

TEXTS = {
    "NUL": "before\0after NULMARK",
    "control characters": "bell\a escape\x1b[31m CONTROLMARK",
    "emoji": "🦊🧠👩‍👩‍👧‍👦 EMOJIMARK",
    "CJK": "数据库迁移的密码在保险库里 CJKMARK",
    "right to left": "\u202eكلمة المرور في الخزنة\u202c RTLMARK",
    "combining": "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢L̠ͨͧͩ͘G COMBININGMARK",
    "private use": "\ue000\U0010ffff PRIVATEMARK",
    "one very long word": "w" * 20_000 + " LONGMARK",
    "only punctuation and a mark": "\"'(*)^:-+~{}[]\\/ PUNCTMARK",
    "line ends": "a\r\nb\u2028c\u2029d\x85e LINEMARK",
}


@pytest.mark.parametrize("what", TEXTS)
def test_any_text_is_stored_and_found_as_it_was(session: RawSession, what: str) -> None:
    text = TEXTS[what]
    stored = session.tool("memory_remember", content=text, title=text[:100], tags=[text[-20:]])
    identifier = stored["structuredContent"]["id"]
    (entry,) = session.tool("memory_get", ids=[identifier])["structuredContent"]["entries"]
    assert (entry["content"], entry["title"], entry["tags"]) == (text, text[:100], [text[-20:]])
    found = session.tool("memory_recall", query=text.split()[-1])["structuredContent"]["results"]
    assert identifier in [result["id"] for result in found]
    assert session.tool("memory_recall", query=text[:20_000])["isError"] is False


@pytest.mark.parametrize(
    "query",
    [
        "",
        " ",
        '"',
        '""',
        '"unbalanced',
        "a AND",
        "OR OR OR",
        "NOT a",
        "NEAR(a b, 5)",
        "NEAR(",
        "content:a",
        "scope:cmemory",
        "title : x",
        "a*",
        "^a",
        "a -b +c",
        "{a b}: c",
        "(((((",
        "'; DROP TABLE entries; --",
        "%_",
        "\\",
        "\0",
        "ꙮ",
        "a" * 20_000,
        "ab " * 6_666,
        "🦊" * 20_000,
    ],
    ids=lambda query: repr(query[:20]),
)
def test_any_string_is_a_query(session: RawSession, query: str) -> None:
    for tool, name in (
        ("memory_recall", "query"),
        ("knowledge_search", "query"),
        ("knowledge_suggest", "task"),
    ):
        result = session.tool(tool, **{name: query})
        assert result["isError"] is False, result["content"]


def test_a_query_that_is_too_long_says_how_long_it_may_be(session: RawSession) -> None:
    result = session.tool("memory_recall", query="x" * 20_001)
    assert result["isError"] is True
    assert "20000" in result["content"][0]["text"].replace(",", "")


@pytest.mark.parametrize("content", ["", " ", "\n\t\u2003"])
def test_an_empty_content_is_refused(session: RawSession, content: str) -> None:
    assert "empty" in session.tool("memory_remember", content=content)["content"][0]["text"]


@pytest.mark.parametrize("size", [256 * 1024 + 1, 7 * MIB])
def test_a_content_over_the_limit_is_refused_with_its_size(session: RawSession, size: int) -> None:
    result = session.tool("memory_remember", content="x" * size)
    assert result["isError"] is True
    assert str(size) in result["content"][0]["text"]
    assert len(result["content"][0]["text"]) < 1000


def test_a_content_of_exactly_the_limit_is_stored(session: RawSession) -> None:
    result = session.tool("memory_remember", content="é" * 128 * 1024)
    assert result["structuredContent"]["status"] == "stored"


def test_ten_megabytes_over_the_control_socket_are_refused(guarded: Installation) -> None:
    with ControlClient(guarded.socket, "verbs", pid=1, cwd="/", env={}) as client:
        with pytest.raises(KhiveError, match="larger than a frame"):
            client.request("memory.remember", {"content": "x" * 10 * MIB})
        with pytest.raises(KhiveError, match="at most 262144"):
            client.request("memory.remember", {"content": "x" * 5 * MIB})


def test_an_argument_that_nests_deeply_is_refused(session: RawSession) -> None:
    deep: Any = "x"
    for _ in range(150):
        deep = [deep]
    for arguments in ({"content": deep}, {"content": "x", "tags": deep}):
        assert session.tool("memory_remember", **arguments)["isError"] is True


# --- namespaces ----------------------------------------------------------------------------------


def test_a_namespace_that_is_not_allowed_is_denied_everywhere(guarded: Installation) -> None:
    with RawSession(guarded, KHIVE_NAMESPACE="team-a") as session:
        session.initialize()
        stored = session.tool("memory_remember", content="a secret of team a")
        assert stored["structuredContent"]["namespace"] == "team-a"
        for tool, arguments in (
            ("memory_remember", {"content": "x", "namespace": "other"}),
            ("memory_recall", {"query": "x", "namespace": "other"}),
            ("knowledge_search", {"query": "x", "namespace": "*"}),
            ("knowledge_learn", {"entries": [{"content": "x"}], "namespace": "TEAM-a"}),
            ("knowledge_suggest", {"task": "x", "namespace": "default "}),
        ):
            result = session.tool(tool, **arguments)
            assert result["isError"] is True
        assert session.close() == 0
    with RawSession(guarded, KHIVE_NAMESPACE="other") as session:
        session.initialize()
        refused = session.tool("memory_remember", content="x")
        assert "The namespace 'other' is not allowed here." in refused["content"][0]["text"]
        assert session.close() == 0
    with RawSession(guarded) as session:
        session.initialize()
        found = session.tool("memory_recall", query="a secret of team a")
        assert "secret" not in json.dumps(found["structuredContent"])
        assert session.close() == 0
