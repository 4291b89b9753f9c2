"""A team's server is checked, unless it is on this machine or the user says otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest
from khive_workers.team import trust

_FULL = {"sslmode": "verify-full", "sslrootcert": "system"}


@pytest.mark.parametrize(
    ("said", "variables", "expected"),
    [
        ({"host": "db.example.org"}, {}, _FULL),
        ({"host": "10.0.0.7"}, {}, _FULL),
        ({"hostaddr": "10.0.0.7"}, {}, _FULL),
        ({"host": "localhost,db.example.org"}, {}, _FULL),
        ({}, {"PGHOST": "db.example.org"}, _FULL),
        ({"host": "db", "sslrootcert": "/ca.crt"}, {}, {"sslmode": "verify-full"}),
        ({"host": "db"}, {"PGSSLROOTCERT": "/ca.crt"}, {"sslmode": "verify-full"}),
        ({"host": "db", "sslmode": "require"}, {}, {}),
        ({"host": "db"}, {"PGSSLMODE": "disable"}, {}),
        ({}, {}, {}),
        ({"host": "localhost"}, {}, {}),
        ({"host": "127.0.0.1,::1"}, {}, {}),
        ({"host": "/run/postgresql"}, {}, {}),
    ],
)
def test_who_is_checked(
    said: dict[str, str], variables: dict[str, str], expected: dict[str, str], tmp_path: Path
) -> None:
    assert trust.options(said, variables, str(tmp_path), 170000) == expected


def test_the_users_own_authority_comes_before_the_systems(tmp_path: Path) -> None:
    (tmp_path / ".postgresql").mkdir()
    (tmp_path / ".postgresql" / "root.crt").write_text("", encoding="ascii")
    found = trust.options({"host": "db"}, {}, str(tmp_path), 170000)
    assert found == {"sslmode": "verify-full"}


def test_a_driver_that_cannot_ask_the_system_is_not_told_to(tmp_path: Path) -> None:
    assert trust.options({"host": "db"}, {}, str(tmp_path), 150000) == {"sslmode": "verify-full"}


def test_what_a_service_says_counts(tmp_path: Path) -> None:
    (tmp_path / ".pg_service.conf").write_text(
        "[one]\nhost=db\n[two]\nhost=db\nsslmode=require\n[three]\nhost=localhost\n",
        encoding="utf-8",
    )
    found = [trust.options({"service": name}, {}, str(tmp_path), 170000) for name in (
        "one", "two", "three", "none",
    )]  # fmt: skip
    assert found == [_FULL, {}, {}, {}]
