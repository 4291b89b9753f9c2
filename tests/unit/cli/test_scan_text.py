"""What `secrets scan` says of what it found."""

from __future__ import annotations

from typing import Any

import pytest

from khive_supervisor.cli.secrets.commands import _scan_text


def answer(found: int, named: int) -> dict[str, Any]:
    one = {"id": "m1", "field": "content", "place": "line 1, column 2 (jwt)"}
    return {"found": found, "places": [one] * named}


@pytest.mark.parametrize(
    ("found", "named", "said"),
    [(1, 1, "1 place."), (2, 2, "2 places."), (250, 200, "250 places; the first 200 are named.")],
)
def test_a_scan_says_how_many_places_there_are(found: int, named: int, said: str) -> None:
    lines = _scan_text(answer(found, named)).splitlines()
    assert lines[-2:] == [said, "`khive-supervisor secrets scan --fix` masks them."]
    assert sum("m1" in line for line in lines) == named


def test_nothing_found_is_said() -> None:
    assert _scan_text(answer(0, 0)) == "No secrets were found."
