"""Cells below the name of a password in a table."""

from __future__ import annotations

import pytest

from khive_supervisor.redaction.columns import LONGEST, ROWS, below


def cells(text: str, name: str = "password") -> list[str]:
    start = text.index(name)
    return [text[a:b] for a, b in below(text, start, start + len(name))]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("| user | password |\n|---|---|\n| ada | x1 |\n| bob | `y2` |\n\nmore", ["x1", "y2"]),
        ("user,password\nada,x1\nbob,y2", ["x1", "y2"]),
        ("user;db password\r\nada;x1\r\n", ["x1"]),
        ("password\tuser\nx1\tada", ["x1"]),
        ('"user","password"\n"ada","x1"', ["x1"]),
        # No head of a table.
        ("password", []),
        ("| user | password |\n| ada | x1 |", []),
        ("ada,x1\nuser,password\nbob,y2", []),
        ("the user, and the password which is long\nada, x1", []),
        ("user,password length\nada,12", []),
        # A row of another table.
        ("user,password\nada,x1,2\nbob,y2", []),
    ],
)
def test_cells_below_a_name(text: str, found: list[str]) -> None:
    assert cells(text) == found


def test_a_table_is_read_as_far_as_one_looks() -> None:
    rows = "\n".join(f"ada,x{n}" for n in range(ROWS + 5))
    assert len(cells(f"user,password\n{rows}")) == ROWS
    assert cells(f"user,password,{'x' * LONGEST}\nada,x1,y") == []
    assert cells(f"user,password\nada,{'x' * LONGEST}") == []
