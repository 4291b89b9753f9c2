from __future__ import annotations

from pathlib import Path

import pytest

from khive_supervisor.config.load import OVERRIDES
from khive_supervisor.config.show import reference

DOCUMENT = Path(__file__).parents[3] / "docs" / "settings.md"
BEGIN, END = "<!-- settings: begin -->", "<!-- settings: end -->"


def test_the_document_has_every_setting_as_it_is() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert text.partition(BEGIN)[2].partition(END)[0].strip() == reference().strip(), (
        "put what khive_supervisor.config.show.reference() returns between the markers"
    )


def test_the_reference_does_not_depend_on_where_it_is_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = reference()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert reference() == before


def test_the_document_has_every_override() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for variable, (table, name) in OVERRIDES.items():
        assert f"| `{variable}` | `{table}.{name}`" in text
