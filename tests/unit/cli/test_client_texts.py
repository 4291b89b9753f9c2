"""Edits of other programs' files: one entry changes, every other byte stays."""

from __future__ import annotations

import copy
import json
import re
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.cli.clients import json_edit, toml_edit
from khive_supervisor.cli.clients.json_edit import CannotEdit

ENTRY = {"command": "/bin/x", "args": ["attach"]}

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_FINITE = st.floats(allow_nan=False, allow_infinity=False)
_SCALAR = st.none() | st.booleans() | st.integers() | _FINITE | _TEXT
_JSON = st.recursive(
    _SCALAR,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=8,
)
_DOCUMENT = st.dictionaries(_TEXT | st.sampled_from(["mcpServers", "khive"]), _JSON, max_size=4)
_SERVERS = st.dictionaries(_TEXT | st.just("khive"), _JSON, max_size=3)
_INDENT = st.sampled_from([None, 1, 2, 4, "\t"])


def _dumped(data: Any, indent: Any, newline: str) -> str:
    return json.dumps(data, indent=indent, ensure_ascii=False).replace("\n", newline)


@given(_DOCUMENT, _SERVERS, _INDENT, st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_json_changes_in_one_place(
    data: dict[str, Any], servers: dict[str, Any], indent: Any, newline: str, present: bool
) -> None:
    before = {**data, "mcpServers": servers} if present else data
    if not isinstance(before.get("mcpServers", {}), dict):
        return
    text = _dumped(before, indent, newline)
    added = json_edit.set_member(text, "mcpServers", "khive", ENTRY)
    expected = copy.deepcopy(before)
    expected.setdefault("mcpServers", {})["khive"] = ENTRY
    assert json.loads(added) == expected
    assert list(json.loads(added)) == list(expected)
    assert json_edit.set_member(added, "mcpServers", "khive", ENTRY) == added
    if "\n" in text:
        assert set(added.splitlines()) >= {line for line in text.splitlines() if line == "}"}
    removed = json_edit.remove_member(added, "mcpServers", "khive")
    del expected["mcpServers"]["khive"]
    assert json.loads(removed) == expected


def test_json_that_was_not_touched_stays_byte_for_byte() -> None:
    text = '{\n    "z": 1e2, "a": [1,2 ,3],\n    "mcpServers": {\n        "b": {"x":1}\n    }\n}'
    added = json_edit.set_member(text, "mcpServers", "khive", ENTRY)
    assert added == (
        '{\n    "z": 1e2, "a": [1,2 ,3],\n    "mcpServers": {\n        "b": {"x":1},\n'
        '        "khive": {\n            "command": "/bin/x",\n            "args": [\n'
        '                "attach"\n            ]\n        }\n    }\n}'
    )
    assert json_edit.remove_member(added, "mcpServers", "khive") == text


def test_an_empty_json_file_becomes_one() -> None:
    for text in ("", "\n", "{}"):
        assert json.loads(json_edit.set_member(text, "s", "n", ENTRY)) == {"s": {"n": ENTRY}}


@pytest.mark.parametrize(
    "text",
    [
        "{,}", '{"a": 1,,}', '{"a": /* 1}', '{"a" 1 // b\n}', "[]", "// only\n[]",
        '{"mcpServers": []}', '{"mcpServers": null}',
        '{"mcpServers": {}, "mcpServers": {}}', '{"mcpServers": {"khive": 1, "khive": 2}}',
        '{"a": NaN}', "{", '{"a": ' + "[" * 100000,
    ],
)  # fmt: skip
def test_what_is_not_json_is_refused(text: str) -> None:
    with pytest.raises(CannotEdit):
        json_edit.set_member(text, "mcpServers", "khive", ENTRY)


COMMENTED = [
    '{\n  // all\n  "mcpServers": {\n    "a": {"x": 1}, // mine\n    /* the\n end */\n  },\n}\n',
    '{\n  "mcpServers": {\n    "a": 1 // mine\n    // "khive": {}\n  } // all\n}\n',
    '{ "mcpServers": { "a": 1, /* b */ }, } // end\n',
    '{ "mcpServers": { "a": 1 /* b */ } }',
    '{\n\t"mcpServers": {\n\t\t// none yet\n\t}\n}\n',
    "{\n  // nothing\n}\n",
    '{\n  "url": "http://x//y", "c": "/* no */", // "mcpServers": {}\n  "mcpServers": {},\n}',
    "// Place your settings here\n{}\n",
    '{"mcpServers": {"a": 1},}',
    '{\n  "a": [1, 2,],\n}\n',
]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("text", COMMENTED)
def test_comments_and_trailing_commas_stay_byte_for_byte(text: str, newline: str) -> None:
    text = text.replace("\n", newline)
    added = json_edit.set_member(text, "mcpServers", "khive", ENTRY)
    before = json_edit.parse(text)
    before.setdefault("mcpServers", {})["khive"] = ENTRY
    assert json_edit.parse(added) == before
    assert json_edit.set_member(added, "mcpServers", "khive", ENTRY) == added
    assert _comments(added) == _comments(text)
    if "\r\n" in text:
        assert added.count("\r\n") == added.count("\n")
    removed = json_edit.remove_member(added, "mcpServers", "khive")
    del before["mcpServers"]["khive"]
    assert json_edit.parse(removed) == before
    assert _comments(removed) == _comments(text)
    if json_edit.parse(text).get("mcpServers"):
        assert removed == text


def _comments(text: str) -> list[str]:
    found = re.findall(r'"(?:[^"\\\n]|\\.)*"|(//[^\r\n]*|/\*.*?\*/)', text, re.DOTALL)
    return [one for one in found if one]


_PIECE = st.sampled_from(
    ["// c\n", "/* c */", "/* c\n d */", ",", "\n", " ", '"k": 1', '"mcpServers": {', "}", '"// s"']
)


@given(st.lists(_PIECE, max_size=12).map("".join))
def test_any_text_with_comments_is_edited_or_refused(inside: str) -> None:
    text = "{" + inside + "}"
    try:
        before = json_edit.parse(text)
        added = json_edit.set_member(text, "mcpServers", "khive", ENTRY)
    except CannotEdit:
        return
    servers = before.get("mcpServers", {})
    assert json_edit.parse(added) == {**before, "mcpServers": {**servers, "khive": ENTRY}}
    assert "khive" not in json_edit.parse(
        json_edit.remove_member(added, "mcpServers", "khive")
    ).get("mcpServers", {})


CODEX = """\
# my settings
model = "m"   # the best

[mcp_servers.other] # keep
command = "x"

[mcp_servers.khive]
# where it is
command = "/old/x"  # old
args = ["attach"]
startup_timeout_sec = 5 # mine

[mcp_servers.khive.env]
A = "b"

# about the profile
[profiles.p]
prompt = \"\"\"
[mcp_servers.khive]
\"\"\"
"""


def test_toml_changes_only_the_setting_that_differs() -> None:
    entry = {**tomllib.loads(CODEX)["mcp_servers"]["khive"], "command": "/new/x"}
    assert toml_edit.set_member(CODEX, "mcp_servers", "khive", entry) == CODEX.replace(
        'command = "/old/x"', 'command = "/new/x"'
    )


def test_toml_that_is_the_same_is_not_touched() -> None:
    entry = tomllib.loads(CODEX)["mcp_servers"]["khive"]
    assert toml_edit.set_member(CODEX, "mcp_servers", "khive", entry) == CODEX


def test_a_new_setting_goes_below_the_header() -> None:
    entry = {**tomllib.loads(CODEX)["mcp_servers"]["khive"], "required": True}
    edited = toml_edit.set_member(CODEX, "mcp_servers", "khive", entry)
    assert edited == CODEX.replace(
        "[mcp_servers.khive]\n#", "[mcp_servers.khive]\nrequired = true\n#", 1
    )


def test_a_table_with_parts_elsewhere_is_written_again() -> None:
    edited = toml_edit.set_member(CODEX, "mcp_servers", "khive", ENTRY)
    assert tomllib.loads(edited)["mcp_servers"] == {"other": {"command": "x"}, "khive": ENTRY}
    assert '[mcp_servers.khive]\n"""' in edited
    assert "# about the profile\n[profiles.p]" in edited


def test_a_toml_table_is_removed_whole() -> None:
    removed = toml_edit.remove_member(CODEX, "mcp_servers", "khive")
    assert removed == (
        '# my settings\nmodel = "m"   # the best\n\n[mcp_servers.other] # keep\ncommand = "x"\n'
        '# where it is\n\n# about the profile\n[profiles.p]\nprompt = """\n[mcp_servers.khive]\n'
        '"""\n'
    )
    assert toml_edit.remove_member(removed, "mcp_servers", "khive") == removed


@pytest.mark.parametrize(
    "text",
    [
        '[mcp_servers]\nkhive = {command = "o", x = 1979-05-27}\na = 1\n',
        "mcp_servers = {}\n", 'a = 1 # one\nmcp_servers = {a = {command = "b"}} # two\n[t]\n',
        'mcp_servers = { "khive" = { command = "o" }, b = {} }\nc = 1\n',
        'mcp_servers.khive.command = "o"\nmcp_servers.khive.args = []\nmodel = 1\n',
        '[mcp_servers."khive"]\ncommand = "o"\n[[x]]\ny = 1\n[[x]]\n',
        "", "\n\n", "model = 1", "# only a comment", '[mcp_servers]\na = {command = "b"}\n',
        "[mcp_servers.khive]\n", 'a = """\n' + "line\n" * 300 + '"""\n',
    ],
)  # fmt: skip
def test_every_way_to_write_a_table_is_understood(text: str) -> None:
    for newline in ("\n", "\r\n"):
        given_text = text.replace("\n", newline)
        edited = toml_edit.set_member(given_text, "mcp_servers", "khive", ENTRY)
        before = tomllib.loads(given_text)
        before.setdefault("mcp_servers", {})["khive"] = ENTRY
        assert tomllib.loads(edited) == before
        removed = toml_edit.remove_member(edited, "mcp_servers", "khive")
        assert "khive" not in tomllib.loads(removed).get("mcp_servers", {})


@pytest.mark.parametrize(
    "text",
    ["a = [", "mcp_servers = 1\n", "mcp_servers = []\n", "[[mcp_servers]]\n"],
)
def test_toml_without_a_safe_place_is_refused(text: str) -> None:
    with pytest.raises(CannotEdit):
        toml_edit.set_member(text, "mcp_servers", "khive", ENTRY)


_NAME = st.sampled_from(["a", "khive", "mcp_servers", '"q.q"'])
_LINE = st.one_of(
    st.builds("[{}]".format, _NAME),
    st.builds("[{}.{}]".format, _NAME, _NAME),
    st.builds("[{}.{}.{}]".format, _NAME, _NAME, _NAME),
    st.builds("[[{}]]".format, _NAME),
    st.builds(
        "{} = {}".format, _NAME, st.sampled_from(["1", "[\n1,\n]", "{a = 1}", "'''\n[a]'''"])
    ),
    st.builds("{}.{} = 1".format, _NAME, _NAME),
    st.just("# a comment"),
    st.just(""),
)


@given(st.lists(_LINE, max_size=10).map("\n".join))
def test_any_toml_is_edited_in_one_place_or_refused(text: str) -> None:
    try:
        edited = toml_edit.set_member(text, "mcp_servers", "khive", ENTRY)
    except CannotEdit:
        return
    before = tomllib.loads(text)
    before.setdefault("mcp_servers", {})["khive"] = ENTRY
    assert tomllib.loads(edited) == before
    assert [line for line in edited.split("\n") if line.startswith("#")] == [
        line for line in text.split("\n") if line.startswith("#")
    ]


#: Parts of a document that are not about the entry: settings, then tables.
_TOP = [
    "a = 1 # one",
    "# alone",
    'p = """\n# no comment\n"""',
    "m.n.o = 2",
    "l = [\n  1, # first\n]",
    "'q.r' = {s = 1}",
]
_TABLES = [
    '[mcp_servers.other] # keep\ncommand = "x"',
    '# about the profile\n[profiles.p]\nprompt = """\n[mcp_servers.khive]\n"""',
    "[[roles]]\nhandler.python = 'a:b' # theirs",
    "[mcp_servers.other.env]\n# none yet",
    "# the end",
]
#: The entry as people write it; those that begin with a header stand among the tables.
_ENTRIES = [
    "",
    '[mcp_servers.khive]\ncommand = "o" # old\n# note\nargs = [\n  "x", # one\n]',
    '[mcp_servers.khive]\n[mcp_servers.khive.env]\nA = "b"',
    '[mcp_servers."khive"]\nenv = {A = "b"}\ncommand = "/bin/x"',
    '[mcp_servers]\nkhive = {command = "o", args = ["attach"]} # mine',
    'mcp_servers.khive.command = "o"',
    'mcp_servers = {khive = {command = "o"}, b = {c = 1}} # all',
]


def _kept(text: str, lines: list[str]) -> bool:
    """Return whether the text has these lines in their order, byte for byte."""
    found = iter(text.split("\n"))
    return all(line in found for line in lines)


@given(
    st.permutations(_TOP).flatmap(lambda all_of: st.integers(0, 6).map(lambda n: all_of[:n])),
    st.permutations(_TABLES).flatmap(lambda all_of: st.integers(0, 5).map(lambda n: all_of[:n])),
    st.sampled_from(_ENTRIES), st.integers(0, 5), st.sampled_from(["\n", "\r\n"]), st.booleans(),
)  # fmt: skip
def test_toml_of_others_stays_byte_for_byte(
    top: list[str], tables: list[str], entry: str, place: int, newline: str, blank: bool
) -> None:
    parts = [[*top, entry], tables]
    if entry.startswith("["):
        parts = [top, [*tables[:place], entry, *tables[place:]]]
    text = (newline * (1 + blank)).join(
        part.replace("\n", newline) + newline for part in [*parts[0], *parts[1]]
    )
    others = [part for part in (*top, *tables) if part]
    lines = "".join(part.replace("\n", newline) + newline for part in others).split("\n")[:-1]
    try:
        before = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return  # parts that cannot be in one document
    edited = toml_edit.set_member(text, "mcp_servers", "khive", ENTRY)
    servers = before.get("mcp_servers", {})
    assert tomllib.loads(edited) == {**before, "mcp_servers": {**servers, "khive": ENTRY}}
    assert _kept(edited, [line for line in lines if line.strip()])
    assert edited.count("\r") == (edited.count("\n") if newline == "\r\n" else 0)
    removed = toml_edit.remove_member(edited, "mcp_servers", "khive")
    assert "khive" not in tomllib.loads(removed).get("mcp_servers", {})
    assert _kept(removed, [line for line in lines if line.strip()])
    assert _kept(edited, [line for line in removed.split("\n") if "mcp_servers = {" not in line])


_TOML = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | _FINITE | _TEXT
    | st.datetimes() | st.dates() | st.times(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


@given(st.dictionaries(_TEXT, _TOML, max_size=4))
def test_any_table_is_written_as_it_is_read(value: dict[str, Any]) -> None:
    text = toml_edit.set_member("", "mcp_servers", "khive", value)
    assert tomllib.loads(text) == {"mcp_servers": {"khive": value}}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# only a comment",
        "a = 1\n[t]\nb = 2\n\n\n",
        "roles = []",
        "roles = [{a = 1}] # mine\n[t]\n",
        'a = 1\r\n[[roles]] # one\r\nrole = "x"\r\n',
        '[[roles]]\nrole = "x"\n[roles.handler]\npython = "a:b" # theirs\n[t]\n',
    ],
)
def test_a_table_is_appended_to_a_list(text: str) -> None:
    edited = toml_edit.append_table(text, "roles", {"capability": "c"})
    assert edited.startswith(text.rstrip("\r\n")) or text.startswith("roles = [")
    assert toml_edit.parse(edited)["roles"][-1] == {"capability": "c"}
    assert len(toml_edit.parse(edited)["roles"]) == len(toml_edit.parse(text).get("roles", [])) + 1
    assert ("\r\n" in edited) == ("\r\n" in text)
    assert edited.count("\r\n") in (0, edited.count("\n"))


@pytest.mark.parametrize("text", ["[roles]", "roles = 3", "["])
def test_a_list_without_a_safe_place_is_refused(text: str) -> None:
    with pytest.raises(json_edit.CannotEdit):
        toml_edit.append_table(text, "roles", {"capability": "c"})
