"""Bytes are looked for in all files of some folders, across the pieces that are read at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from khive_supervisor.host import byte_search
from khive_supervisor.host.byte_search import files_with


def test_files_are_named_with_what_they_hold(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "a").write_bytes(b"xx needle xx")
    (tmp_path / "below" / "b").write_bytes(b"needle other")
    (tmp_path / "c").write_bytes(b"nothing")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    found = files_with([b"needle", b"other", b"absent"], [str(tmp_path)])
    assert found == {str(tmp_path / "a"): [0], str(tmp_path / "below" / "b"): [0, 1]}


def test_nothing_to_look_for_is_found_nowhere(tmp_path: Path) -> None:
    assert files_with([], [str(tmp_path)]) == {}


def test_what_lies_across_two_pieces_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(byte_search, "_CHUNK", 8)
    file = tmp_path / "a"
    for start in range(20):
        file.write_bytes(b"." * start + b"needle" + b"." * 9)
        assert byte_search._held(str(file), [b"needle", b"e" * 30]) == [0]
