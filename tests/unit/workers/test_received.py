"""A client's JSON before the SDK sees it: made text, mended, and named where it cannot be read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from khive_workers.mcp.received import BATCHED, END, OFFERED, complaint, probable_id, received

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=8,
)


def call(arguments: Any, method: str = "tools/call") -> bytes:
    message = {"id": 1, "method": method, "params": {"name": "t", "arguments": arguments}}
    return json.dumps(message).encode()


def arguments_of(content: bytes) -> Any:
    return json.loads(content)["params"]["arguments"]


# --- arguments ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ({"a": 1}, {"a": 1}),
        ('{"a": 1}', {"a": 1}),
        (' {"a": [1, "x"]} ', {"a": [1, "x"]}),
        ("", {}),
        ([], {}),
        ("text", "text"),
        ("[1]", "[1]"),
        ("null", "null"),
        ([1], [1]),
        ('["a"]', '["a"]'),
        (3, 3),
        (None, None),
    ],
)
def test_arguments_are_taken_as_they_are_meant(sent: Any, meant: Any) -> None:
    assert arguments_of(received(call(sent))) == meant


def test_arguments_of_other_methods_are_left_alone() -> None:
    assert arguments_of(received(call("", "prompts/get"))) == ""


@given(st.dictionaries(ANY_TEXT, JSON, max_size=3))
def test_an_object_as_text_is_the_object(arguments: dict[str, Any]) -> None:
    as_object = received(call(arguments))
    as_text = received(call(json.dumps(arguments)))
    assert arguments_of(as_text) == arguments_of(as_object)
    assert as_text.decode().encode() == as_text


# --- text -----------------------------------------------------------------------------------------


@given(st.binary(max_size=60))
def test_any_bytes_become_text(content: bytes) -> None:
    received(content).decode()


@given(JSON)
def test_any_value_stays_what_it_is_as_text(value: Any) -> None:
    json.dumps(json.loads(received(json.dumps(value).encode())), ensure_ascii=False).encode()


def test_a_byte_order_mark_is_no_part_of_a_message() -> None:
    assert received(b"\xef\xbb\xbf{}") == b"{}"


@pytest.mark.parametrize("content", [b"", b"{", b'{"arguments": "', b"[]", b"nonsense", b"\xff"])
def test_what_is_no_message_is_left_to_who_says_so(content: bytes) -> None:
    assert received(content) == content.decode(errors="replace").encode()


# --- versions -------------------------------------------------------------------------------------


def initialize(version: Any, method: str = "initialize") -> dict[str, Any]:
    return {"id": 1, "method": method, "params": {"protocolVersion": version}}


def test_who_asks_for_batches_is_offered_the_version_before() -> None:
    content = json.dumps(initialize(BATCHED)).encode()
    assert json.loads(received(content)) == initialize(OFFERED)


@pytest.mark.parametrize(
    "message",
    [
        initialize("2025-06-18"),
        initialize(OFFERED),
        initialize(BATCHED, "ping"),
        {"method": "tools/call", "params": {"name": f"initialize {BATCHED}", "arguments": {}}},
        {"method": "initialize", "params": [BATCHED]},
        {"method": "initialize", "note": BATCHED},
        [BATCHED, "initialize"],
    ],
)
def test_all_others_ask_for_what_they_ask(message: Any) -> None:
    content = json.dumps(message).encode()
    assert received(content) == content


# --- complaints -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "said"),
    [
        (None, "needs `params`"),
        ([], "needs `params`"),
        ({}, "`name` of a tool"),
        ({"name": 3}, "`name` of a tool"),
        ({"name": "t", "arguments": "x"}, "arguments of t must be an object, not a text"),
        ({"name": "t", "arguments": [1]}, "not a list"),
        ({"name": "t", "arguments": 3}, "not a number"),
        ({"name": "t", "arguments": True}, "truth value"),
        ({"name": "x" * 500, "arguments": 3}, "x" * 80 + " must"),
    ],
)
def test_what_is_wrong_with_a_call_is_said(params: Any, said: str) -> None:
    found = complaint("tools/call", params)
    assert found is not None
    assert said in found


@pytest.mark.parametrize("params", [{"name": "t"}, {"name": "t", "arguments": {}},
                                    {"name": "t", "arguments": None}])  # fmt: skip
def test_a_good_call_is_no_complaint(params: Any) -> None:
    assert complaint("tools/call", params) is None
    assert complaint("tools/list", 3) is None


# --- ids ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("begin", "end", "identifier"),
    [
        ('{"jsonrpc":"2.0","id":7,"method":"x","params":{', "", 7),
        ('{"id": "a\\"b", "method": "x"', "", 'a"b'),
        ('{"method":"x","id":-3,', "", -3),
        (' { "jsonrpc" : "2.0" , "method" : "x" , "id" : 1 , "params"', "", 1),
        ('{"method":"x","params":{', '"y"},"id":9}', 9),
        ('{"method":"x","params":{', '"y"},"id":9,"jsonrpc":"2.0"}\n', 9),
        ('{"method":"x","params":{', '"y","id":9}}', None),
        ('{"method":"x","params":{"id":5', "", None),
        ('{"jsonrpc":"2.0","id":7,"result":{', "", None),
        ('{"id":1.5,"method":"x"', "", None),
        ('{"id":null,"method":"x"', "", None),
        ('{"id":12345678901234567890,"method":"x"', "", None),
        ('{"id":"\\ud8","method":"x"', "", None),
        ("", "", None),
    ],
)
def test_the_id_of_what_cannot_be_read_is_found_where_clients_write_it(
    begin: str, end: str, identifier: object
) -> None:
    assert probable_id(begin.encode(), end.encode()) == identifier


def test_only_the_ends_are_looked_at() -> None:
    assert probable_id(b" " * END + b'{"id":1,"method":"x"', b"") is None
    assert probable_id(b'{"method":"x","p":"', b'","id":1}' + b" " * END) is None


@given(JSON, st.integers(-(10**15), 10**15) | st.text('ab"\\ä', max_size=8))
def test_an_id_that_is_found_is_the_messages_own(params: Any, identifier: int | str) -> None:
    message = {"jsonrpc": "2.0", "id": identifier, "method": "x", "params": params}
    content = json.dumps(message).encode()
    assert probable_id(content, content) == identifier
    last = {"method": "x", "params": 1, "id": identifier}
    content = json.dumps(last, ensure_ascii=False).encode()
    assert probable_id(content, content) == identifier
