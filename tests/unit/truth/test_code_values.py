"""What a name has for a value in a file, in the languages that people keep settings in."""

from __future__ import annotations

import pytest

from khive_supervisor.truth import code_values
from khive_supervisor.truth.about import About, blob_id, judged, parse

FOUND = [
    (".py", "MAX = 7  # at most\n", "MAX", ["7"]),
    (".py", "MAX: Final[int] = 7\n", "MAX", ["7"]),
    (".py", "def f(MAX=3):\n    MAX = 4\nMAX = 7\n", "MAX", ["7"]),
    (".py", "class A:\n    MAX = 1\n\nclass B:\n    MAX = 2\n", "B.MAX", ["2"]),
    (".py", "A = (\n  'a',  # 1\n  'b',\n)\nX = 1\n", "A", ["(\n  'a',  # 1\n  'b',\n)"]),
    (".py", "MAX == 7\nMAXIMUM = 8\n", "MAX", []),
    (".py", "async def run(x):\n    pass\n", "run", [""]),
    (".py", "URL = 'http://a/#b'\n", "URL", ["'http://a/#b'"]),
    (".py", "class A(int):\n    OK = 200, 'OK'\n    NO = 404, 'no'\n", "A.OK", ["200, 'OK'"]),
    (".py", "class A:\n\n    def f(\n        x=1,\n    ):\n        g(x=2)\n", "A.x", []),
    (".py", "V = version = '2'\n", "V", ["'2'"]),
    (".py", "X = 'a' \\\n    'b'\nY = 2\n", "X", ["'a' \\\n    'b'"]),
    (".toml", "[tool.ruff]\nwidth = 100\n[x]\nwidth = 9\n", "tool.ruff.width", ["100"]),
    (".yaml", "retries: 7\nother: 8\n", "retries", ["7"]),
    (".json", '{"port": 8080, "x": 1}', "port", ["8080"]),
    (".ini", "[db]\nport=5432\n", "db.port", ["5432"]),
    (".env", "export TOKEN_TTL=60\n", "TOKEN_TTL", ["60"]),
    (".sh", "RETRIES=3\n", "RETRIES", ["3"]),
    (".js", "export const MAX_RETRIES = 5;\n", "MAX_RETRIES", ["5"]),
    (".ts", "const limits: Limits = { retries: 3,\n  port: 80,\n};", "port", ["80"]),
    (".go", "const maxRetries = 5\n", "maxRetries", ["5"]),
    (".go", "var timeout time.Duration = 30 // seconds\n", "timeout", ["30"]),
    (".rs", "pub const LIMIT: usize = 1_000;\n", "LIMIT", ["1_000"]),
    (".rs", "pub fn run(x: u8) {}\n", "run", [""]),
    (".c", "#define LIMIT 12\n", "LIMIT", ["12"]),
]  # fmt: skip


@pytest.mark.parametrize(("suffix", "text", "name", "found"), FOUND)
def test_a_value_is_found(suffix: str, text: str, name: str, found: list[str]) -> None:
    assert [one.rstrip() for one in code_values.values(text, name, suffix)] == found


@pytest.mark.parametrize(
    ("declared", "found"),
    [
        ("7", "7"), ("a", "'a'"), ('"a"', "'a'"), ("1000", "1_000usize"),
        ("(1, 2)", "(\n 1,\n 2,\n)"),
        ("'a, b'", "(\n 'a, b'\n)"), ("br'x'", "rb'x'"), ("1, 2", "1,  2"),
        ("true", "True"), ("a  b", '"a b"'), ("[1,2]", "[1, 2]"),
    ],
)  # fmt: skip
def test_ways_of_writing_make_no_other_value(declared: str, found: str) -> None:
    assert code_values.same(declared, found)


@pytest.mark.parametrize(
    ("declared", "found"), [("7", "8"), ("a", "b"), ("(1,)", "1"), ("7", ""), ("1.0", "10")]
)
def test_another_value_is_another_one(declared: str, found: str) -> None:
    assert not code_values.same(declared, found)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a/b.py", About("a/b.py")),
        ("./a/../b.py::X", About("b.py", "X")),
        ("b.py::A.X = 7 = 8", About("b.py", "A.X", "7 = 8")),
        ("", None), (".", None), ("/etc/passwd", None), ("../x", None), ("a/../../x", None),
        ("x::", None), ("x::a b", None), ("x\0y", None), ("::X", None),
    ],
)  # fmt: skip
def test_a_place_is_read(text: str, found: About | None) -> None:
    assert parse(text) == found
    if found is not None:
        assert parse(str(found)) == found


def test_an_id_is_the_one_that_git_gives() -> None:
    assert blob_id(b"") == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
    assert blob_id(b"hello\n") == "ce013625030ba8dba906f756967f9e9ca394464a"


def test_what_has_become_of_a_place_is_told_by_its_file() -> None:
    old, new = b"MAX = 7\n", b"MAX = 9\n"
    declared, named, whole = About("x.py", "MAX", "7"), About("x.py", "MAX"), About("x.py")
    states = [judged(one, blob_id(old), old).state for one in (declared, named, whole)]
    assert states == ["fresh", "fresh", "fresh"]
    assert judged(declared, blob_id(old), new).said == "MAX is 9"
    states = [judged(one, blob_id(old), new).state for one in (declared, named, whole)]
    assert states == ["changed", "fresh", "changed"]
    assert [judged(one, blob_id(old), b"").state for one in (declared, named)] == ["gone", "gone"]
