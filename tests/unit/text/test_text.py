from __future__ import annotations

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.text import analysis as text
from khive_supervisor.text.analysis import index_text, match_expression, read_query, scope_token

ANY_TEXT = st.text(st.characters(codec=None), max_size=80)


def index_of(*contents: str, scope: str = "") -> apsw.Connection:
    connection = apsw.Connection(":memory:")
    connection.execute(
        "CREATE VIRTUAL TABLE f USING fts5 (scope, title, content, tags, content = '', "
        "contentless_delete = 1, tokenize = 'porter unicode61')"
    )
    for row, content in enumerate(contents, 1):
        connection.execute(
            "INSERT INTO f (rowid, scope, content) VALUES (?, ?, ?)",
            [row, scope, index_text(content)],
        )
    return connection


def found(connection: apsw.Connection, query: str, *scope: str) -> list[int]:
    expression = match_expression(read_query(query), scope)
    if not expression:
        return []
    rows = connection.execute("SELECT rowid FROM f WHERE f MATCH ? ORDER BY rowid", [expression])
    return [int(row[0]) for row in rows]


@pytest.mark.parametrize(
    ("content", "query"),
    [
        ("Running the migrations", "migration run"),
        ("call getUserName first", "user name"),
        ("call getUserName first", "getUserName"),
        ("the HTTPServer class", "http"),
        ("set max_retries to 3", "max-retries"),
        ("see src/main.rs", "main.rs"),
        ("机器学习很有趣", "学习"),
        ("我们用机器学习", "什么是机器学习"),
        ("日本語のテスト", "日本語"),
        ("한국어를 공부합니다", "한국어"),
        ("ภาษาไทย", "ไทย"),
        ("हिन्दी भाषा", "हिन्दी"),
        ("Straße nach Köln", "STRASSE KOLN"),
        ("ＡＢＣ and ﬁle", "abc file"),
        ("x\u0302y thing", "x\u0302y"),
        ("nul\0in the middle", "middle"),
        ("The Who played", "the who"),
    ],
)
def test_what_was_written_is_found(content: str, query: str) -> None:
    assert found(index_of(content, "nothing of the kind"), query)[:1] == [1]


@pytest.mark.parametrize("query", ["", " ", "\0", "!?", "😀", '"', "* ^ - : { } ( )", "\ud800"])
def test_a_query_without_a_word_has_no_terms(query: str) -> None:
    assert not read_query(query)
    assert match_expression(read_query(query)) == ""


def test_stop_words_go_unless_there_is_nothing_else() -> None:
    assert tuple(read_query("what is the status of it")) == ("status",)
    assert tuple(read_query("to be or not to be")) == ("to", "be", "or", "not")


def test_terms_are_distinct_and_in_order_and_counted() -> None:
    query = text.read_query("beta alpha Beta gamma_delta")
    assert dict(query) == {"beta": 2, "alpha": 1, "gamma": 1, "delta": 1, "gamma_delta": 1}
    assert tuple(query) == ("beta", "alpha", "gamma", "delta", "gamma_delta")


def test_names_are_identifiers_and_mixed_words() -> None:
    query = text.read_query("why does parseHeader in src/net.py fail for sha256, e.g. twice?")
    assert query.names == {"parseheader", "src/net.py", "sha256"}


def test_a_compound_is_a_phrase() -> None:
    expression = match_expression(["max_retries"])
    connection = index_of("max_retries = 3", "retries at max")
    assert [
        r[0] for r in connection.execute("SELECT rowid FROM f WHERE f MATCH ?", [expression])
    ] == [1]


def test_operators_are_data() -> None:
    connection = index_of("alpha beta", "near not or")
    assert found(connection, "alpha NOT beta") == [1]
    assert found(connection, 'NEAR("alpha') == [1, 2]
    assert found(connection, "content:alpha") == [1]


def test_scopes_hold_apart() -> None:
    mine, other = scope_token("namespace", "a"), scope_token("namespace", "b")
    connection = index_of("alpha beta", scope=mine)
    assert found(connection, "alpha", mine) == [1]
    assert found(connection, "alpha", other) == []
    assert found(connection, mine) == []  # the words of a query never look into the scope


def test_also_wants_a_word_of_each_group() -> None:
    connection = index_of("red apple", "red", "apple")
    expression = match_expression(["red"], also=["apple", "pear"])
    assert [
        r[0] for r in connection.execute("SELECT rowid FROM f WHERE f MATCH ?", [expression])
    ] == [1]


@given(ANY_TEXT, ANY_TEXT)
def test_scope_tokens_are_one_unstemmed_word_and_differ(kind: str, name: str) -> None:
    token = scope_token(kind, name)
    assert token.isascii()
    assert token.isalnum()
    assert token[-1] == "0"
    assert token != scope_token(kind, name + "x")


@given(ANY_TEXT, ANY_TEXT)
def test_any_text_can_be_stored_and_asked_for(content: str, query: str) -> None:
    connection = index_of(content)
    assert found(connection, query) in ([], [1])


@given(
    st.text(
        st.characters(categories=["Ll", "Lu", "Nd"], max_codepoint=0x24F), min_size=1, max_size=40
    )
)
def test_a_latin_word_finds_itself(word: str) -> None:
    assert found(index_of(word), word) == [1]


@given(ANY_TEXT)
def test_index_text_can_be_encoded_and_holds_no_nul(content: str) -> None:
    prepared = index_text(content)
    assert "\0" not in prepared
    prepared.encode()


def test_the_longest_query_is_within_the_limits() -> None:
    terms = tuple(read_query("w" * 20_000))
    assert [len(term) for term in terms] == [text.MAX_TERM_CHARACTERS]
    expression = match_expression(f"w{n}" for n in range(10_000))
    assert expression.count(" OR ") == text.MAX_EXPRESSION_TERMS - 1
    index_of("w1").execute("SELECT rowid FROM f WHERE f MATCH ?", [expression])


@pytest.mark.parametrize(
    ("query", "terms"),
    [
        ("学", ["学"]),
        ("学习", ["学习"]),
        ("机器学习", ["机器", "器学", "学习"]),
        ("api学习", ["api", "学习"]),
        ("学习api", ["学习", "api"]),
        ("用api学v2", ["用", "api", "学", "v2"]),
        ("学习 机器", ["学习", "机器"]),
        ("käse学", ["käse", "学"]),
    ],
)
def test_a_run_without_spaces_is_its_pairs_and_the_words_beside_it(
    query: str, terms: list[str]
) -> None:
    assert list(read_query(query)) == terms


@pytest.mark.parametrize(
    ("query", "compounds"),
    [
        ("a.bc", {"a.bc"}),
        ("a.b", set()),  # "e.g", "a/b"
        ("std::vec and os.path.join", {"std::vec", "os.path.join"}),
        ("left-pad", set()),
    ],
)
def test_a_compound_has_a_length_from_which_on_it_is_a_name(
    query: str, compounds: set[str]
) -> None:
    assert read_query(query).names == compounds
    assert {term for term in read_query(query) if not term.isalnum()} == compounds


# --- headlines ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "headline"),
    [
        ("The login page hangs\nSince today nobody gets in.", {"login", "page", "hangs"}),
        ("  \n The login page hangs\n\nSince today.", {"login", "page", "hangs"}),
        ("The login page hangs", set()),
        ("The login page hangs\n  \n", set()),
        ("Title\nThe login page hangs.", set()),
        (" ".join(["word"] * 26) + "\nmore", set()),
        ("x" * 400 + " y z\nmore", set()),
        ("Was ist der\nwas ist der", {"ist", "der"}),
        ("", set()),
    ],
)
def test_a_first_line_before_others_is_a_headline(text: str, headline: set[str]) -> None:
    assert read_query(text).headline == headline


@given(st.text())
def test_a_headline_has_terms_of_the_query_alone(text: str) -> None:
    query = read_query(text)
    assert query.headline <= query.keys()
