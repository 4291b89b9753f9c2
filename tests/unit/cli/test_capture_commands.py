"""What `capture` and `review` show, and what each key does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click
import pytest

from khive_supervisor.cli.memories import capture, review

CANDIDATE = {
    "id": "c1", "kind": "decision", "text": "Use tabs", "said_by": "user", "at": "2026-01-02T00",
    "client": "codex",
}  # fmt: skip


class Session:
    """Keeps what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Mapping[str, Any]]] = []

    def request(self, verb: str, args: Mapping[str, Any]) -> Mapping[str, Any]:
        self.asked.append((verb, args))
        return {"id": args["id"], "state": "done", "entry": "m5"}


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    pressed: list[str] = []
    monkeypatch.setattr(click, "getchar", lambda: pressed.pop(0))
    yield pressed
    assert pressed == []


def test_one_key_decides_each_candidate(
    keys: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(click, "edit", lambda text: f"{text}, always\n")
    keys += ["x", "a", "e", "d", "l", "q"]
    session = Session()
    review._one_by_one(session, [CANDIDATE] * 6)  # type: ignore[arg-type]  # what is asked of it
    assert [args for _, args in session.asked] == [
        {"id": "c1", "decision": "accept"},
        {"id": "c1", "decision": "edit", "text": "Use tabs, always"},
        {"id": "c1", "decision": "drop"},
    ]
    assert "c1: done as m5" in capsys.readouterr().out


def test_what_is_to_review_is_listed() -> None:
    assert "Use tabs" in review._listed({"candidates": [CANDIDATE]})
    assert review._listed({"candidates": []}) == "There is nothing to review."


def test_where_sessions_are_captured_is_told() -> None:
    answer = {
        "all": True, "projects": {"app": False}, "events": 2, "sessions": 1, "kept_days": 90.0,
        "transcripts": 1, "candidates": 3, "not_understood": ["/x/new.jsonl"],
    }  # fmt: skip
    assert capture._status(answer).splitlines() == [
        "captured: on",
        "  app: off",
        "kept: 2 events of 1 session, for 90 days",
        "followed: 1 transcript",
        "to review: 3 (khive-supervisor review)",
        "not understood (a newer format?): /x/new.jsonl",
    ]
    assert capture._switched({"project": "all", "state": "on"}).startswith("Capturing is on.")
    assert "nothing more is kept" in capture._switched({"project": "app", "state": "off"})
    assert capture._switched({"project": "app", "state": "default"}).startswith("Capturing is as")
