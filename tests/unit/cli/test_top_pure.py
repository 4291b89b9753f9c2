"""`top` without a terminal: what is shown fits, and what is pressed does what the help says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.cli.top import cells, keys
from khive_supervisor.cli.top.details import folded, is_about, row_lines
from khive_supervisor.cli.top.frame import TopScreen, frame, rows_of, whole
from khive_supervisor.cli.top.rows import OverviewRow, RowKey, sections
from khive_supervisor.cli.top.screen import painted
from khive_supervisor.cli.top.state import TopState, chosen_row, pressed
from khive_supervisor.overview import now
from khive_supervisor.overview.asked import Failed, Wish

NOW = 1_800_000_000.0
HOSTILE = "\x1b]0;owned\x07\x1b[2J\u202e\u9b4d\n\ttail"
STATUS: dict[str, Any] = {
    "state": "ready", "version": "0.4.0", "uptime_seconds": 90.0,
    "index": {"state": "ready", "vectors": 1, "generation": 2},
    "builder": {"running": True}, "http": {"url": "http://127.0.0.1:1/"},
    "children": [{"name": "zygote", "state": "ready", "pid": 7, "restarts": 0, "problem": ""}],
    "roles": [{
        "role": "reviewer", "state": "ready", "generation": 1, "workers_ready": 1,
        "workers_wanted": 2, "queued": 3, "leased": 1, "last_error": "",
    }],
}  # fmt: skip


def session(number: int, state: str = "working", said: str = "mend it") -> dict[str, Any]:
    return {"client": "claude-code", "session": f"s{number}", "state": state, "project": "ledger",
            "branch": "main", "seen_at": "2027-01-15T07:00:00Z", "memory_bytes": 12_300_000,
            "since": "2027-01-15T07:00:00Z", "last_prompt": said,
            "cwd": "/home/you/ledger"}  # fmt: skip


def task(number: int, state: str = "queued") -> dict[str, Any]:
    return {"task": f"t{number}", "state": state, "role": "reviewer", "task_type": "review",
            "created_at": "2027-01-15T07:00:00Z"}  # fmt: skip


def page(sessions: list[dict[str, Any]], tasks: list[dict[str, Any]] | None = None) -> Any:
    budget = {"role": "reviewer", "state": "near", "unit": "usd", "windows": [
        {"window": "week", "limit": 50.0, "spent": 45.0}, {"window": "month"}]}  # fmt: skip
    replies: dict[str, Any] = {
        "status": STATUS,
        "sessions.list": {"sessions": sessions, "without_hooks": [
            {"client": "codex", "cwd": "/x", "pid": 5}]},
        "agents.tasks": {"tasks": tasks if tasks is not None else [task(1, "leased"), task(2)]},
        "agents.budget": {"roles": [budget]},
    }  # fmt: skip
    return now.page([replies.get(one.verb, {}) for one in now.wishes({})], {}, NOW)


def text_of(lines: list[cells.Line]) -> list[str]:
    return ["".join(span.text for span in line) for line in lines]


MANY = page([session(n, said=HOSTILE) for n in range(50)], [task(n) for n in range(40)])
VIEWS = ("now", "row", "log", "help")


@given(st.integers(1, 220), st.integers(1, 70), st.sampled_from(VIEWS), st.integers(0, 70))
def test_a_frame_fits_whatever_the_size(width: int, height: int, view: Any, at: int) -> None:
    screen = TopScreen(page=MANY, log=(HOSTILE * 9,) * 40, clock="12:00:00")
    rows = rows_of(screen)
    state = TopState(view=view, chosen=rows[at % len(rows)].key, scroll=at)
    lines = frame(replace(screen, state=state), width, height)
    assert len(lines) == height
    for line in lines:
        assert sum(cells.width_of(span.text) for span in line) <= width


@given(st.text(), st.integers(0, 60))
def test_any_text_is_cut_to_cells_that_obey_nothing(text: str, width: int) -> None:
    shown = cells.filled(cells.clean(text), width)
    assert cells.width_of(shown) == width
    assert not any(c < " " or "\x7f" <= c <= "\x9f" or c == "\u202e" for c in shown)
    shown.encode()


@given(st.text(max_size=300), st.integers(1, 90))
def test_what_is_folded_fits_and_keeps_its_words(text: str, width: int) -> None:
    lines = folded(text, width)
    if width > 3:
        assert all(cells.width_of(line) <= width for line in lines)
        assert "".join(lines).replace(" ", "") == cells.clean(text).replace(" ", "")


@given(st.lists(st.integers(0, 40), max_size=6), st.integers(0, 80))
def test_lines_are_shared_out(wanted: list[int], room: int) -> None:
    given_to = cells.shares(wanted, room)
    assert sum(given_to) == min(room, sum(wanted))
    for got, most in zip(given_to, wanted, strict=True):
        assert got <= most
        assert got == most or got >= max(given_to) - 1  # who is short has as much as anybody


def test_a_task_at_work_is_shown_however_many_wait_behind_it() -> None:
    asked = [one.args for one in now.wishes({}) if one.verb == "agents.tasks"]
    assert {"state": "leased", "limit": now.TASKS, "log_lines": now.LOG_LINES} in asked
    tasks = [task(1, "leased"), *(task(number) for number in range(99, 40, -1))]
    shown = [one["task"] for one in page([], tasks)["tasks"]]
    assert shown[:3] == ["t1", "t99", "t98"]
    assert len(set(shown)) == len(shown) == now.TASKS


def test_80_by_24_shows_all_kinds_and_the_keys() -> None:
    lines = text_of(frame(TopScreen(page=page([session(1, "waiting")]), clock="12:00:00"), 80, 24))
    shown = "\n".join(lines)
    for words in ("waits for you", "claude-code", "ledger:main", "1h", "attached", "codex",
                  "near, $45 of $50 week", "t1", "at work", "zygote", "1 vector,", "being built",
                  "http://127.0.0.1:1/", "q quit", "12:00:00", "up 1m", "mend it"):  # fmt: skip
        assert words in shown, words
    assert all(len(line) <= 80 for line in lines)


def test_the_chosen_row_is_shown_however_many_there_are() -> None:
    screen = TopScreen(page=MANY)
    for row in rows_of(screen):
        lines = frame(replace(screen, state=TopState(chosen=row.key)), 80, 24)
        assert sum(span.style == "chosen" for line in lines for span in line) == 1


def test_nothing_stored_reaches_the_terminal_raw() -> None:
    told = page([session(1, said=HOSTILE)], [{**task(1), "error": HOSTILE}])
    screen = TopScreen(page=told, log=(HOSTILE,), away=HOSTILE)
    row = rows_of(screen)[0]
    more: list[list[cells.Line]] = [
        frame(replace(screen, state=TopState(view=view, chosen=row.key, notice=HOSTILE)), 80, 24)
        for view in VIEWS  # type: ignore[misc]  # each is a view
    ]
    more.append(row_lines(row, {"result": HOSTILE}, 80))
    for lines in [*more, whole(screen, 160)]:
        for line in lines:
            sent = painted(cells.fitted(line, 80), True)
            assert "\x1b]" not in sent
            assert "\x1b[2J" not in sent
            assert not set(sent) & set("\x07\u202e\n\t")


def test_without_colours_none_is_sent() -> None:
    line = (
        cells.ScreenSpan("failed", "bad"),
        cells.ScreenSpan("ready", "good"),
        cells.ScreenSpan("x", "chosen"),
    )
    assert "\x1b[1;31m" in painted(line, True)
    assert painted(line, False) == "\x1b[1mfailed\x1b[0mready\x1b[7mx\x1b[0m"


def test_one_that_refuses_and_one_that_is_away_are_said() -> None:
    row = rows_of(TopScreen(page=page([session(1)])))[0]
    assert any(
        "no such task" in text for text in text_of(row_lines(row, Failed("no such task"), 80))
    )
    lines = text_of(frame(TopScreen(away="No supervisor is running."), 80, 24))
    assert "No supervisor is running." in lines[0]
    lines = text_of(frame(TopScreen(page=page([session(1)]), away="It ended."), 80, 24))
    assert "away: It ended." in lines[0]
    assert any("ledger" in line for line in lines)  # what was known last stays to be read


# --- keys -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "names"),
    [
        (b"\x1b[A\x1bOB\x1b[5~\x1b[6~", ["up", "down", "page up", "page down"]),
        (b"q\r\n\x7f\x1b", ["q", "enter", "enter", "backspace", "escape"]),
        (b"\x1b[200~\x1b[1;5A", []),
        ("ä\x01".encode(), ["ä"]),
        (b"\xff\xfe", []),
    ],
)
def test_keys_by_what_terminals_send(sent: bytes, names: list[str]) -> None:
    assert keys.pressed(sent) == names


@given(st.binary(max_size=40))
def test_no_bytes_are_trouble(data: bytes) -> None:
    for key in keys.pressed(data):
        pressed(TopState(), key, rows_of(TopScreen(page=MANY)))
    keys.incomplete(data)


def test_a_sequence_may_come_in_pieces() -> None:
    assert keys.incomplete(b"\x1b")
    assert keys.incomplete(b"x\x1b[")
    assert keys.incomplete(b"\x1b[5")
    assert not keys.incomplete(b"\x1b[5~")
    assert not keys.incomplete(b"q")


class Hands:
    """Presses keys, one after the other."""

    def __init__(self, rows: list[OverviewRow]) -> None:
        self.rows, self.state = rows, TopState()
        self.done: list[Wish] = []

    def press(self, *names: str) -> TopState:
        for name in names:
            self.state, agreed = pressed(self.state, name, self.rows)
            self.done += [agreed.wish] if agreed is not None else []
        return self.state

    def choose(self, kind: str, name: str) -> None:
        self.state = replace(self.state, chosen=RowKey(kind, name))


@pytest.fixture
def hands() -> Hands:
    return Hands(rows_of(TopScreen(page=page([session(1)], [task(1, "leased"), task(2, "done")]))))


def test_changes_are_asked_for_first(hands: Hands) -> None:
    for kind, name, key, verb in (
        ("role", "reviewer", "d", "roles.drain"),
        ("role", "reviewer", "r", "roles.resume"),
        ("task", "t1", "c", "agents.cancel"),
    ):
        hands.choose(kind, name)
        asked = hands.press(key).asked
        assert asked is not None
        assert name in asked.question
        assert hands.press("n").asked is None
        assert hands.done == []
        hands.press(key, "y")
        assert [wish.verb for wish in hands.done] == [verb]
        hands.done.clear()


def test_what_waits_can_be_cancelled() -> None:
    tasks = [task(1, "leased"), task(2, "waiting"), task(3)]
    hands = Hands(rows_of(TopScreen(page=page([session(1)], tasks))))
    for name, said in (("t1", "asked to stop"), ("t2", "cancelled"), ("t3", "cancelled")):
        hands.choose("task", name)
        asked = hands.press("c").asked
        assert asked is not None
        assert said in asked.done
        hands.press("n")


def test_keys_of_another_kind_of_row_say_what_to_choose(hands: Hands) -> None:
    for key, kind in (("d", "role"), ("r", "role"), ("c", "task")):
        hands.choose("session", "s1")
        assert f"Choose a {kind} first" in hands.press(key).notice
    hands.choose("task", "t2")
    assert "has ended" in hands.press("c").notice
    assert hands.done == []


def test_a_filter_is_typed_kept_and_taken_away(hands: Hands) -> None:
    state = hands.press("/", "q", "u", "x", "backspace", "enter")
    assert (state.words, state.typing, state.ended) == ("qu", False, False)
    assert hands.press("escape").words == ""
    shown = sections(page([session(1)]), "LEDGER")
    assert [len(one.rows) for one in shown] == [1, 0, 0, 0]
    assert shown[1].empty == "none has what you look for"


def test_looking_into_something_and_back(hands: Hands) -> None:
    hands.press("down", "down")
    row = chosen_row(hands.state, hands.rows)
    assert row is not None
    assert row.key == RowKey("role", "reviewer")
    assert hands.press("enter").view == "row"
    assert hands.press("down", "down", "up").scroll == 1
    assert hands.press("escape").view == "now"
    assert hands.press("l").view == "log"
    assert hands.press("up", "page up").scroll == 11
    assert hands.press("escape", "?").view == "help"
    assert hands.press("q").ended
    assert pressed(TopState(typing=True), "interrupt", [])[0].ended


def test_a_row_that_goes_lets_go_of_the_choice(hands: Hands) -> None:
    hands.choose("session", "gone")
    row = chosen_row(hands.state, hands.rows)
    assert row is not None
    assert row.key.name == "s1"
    screen = TopScreen(page=page([session(1)]), state=replace(hands.state, view="row"))
    assert "not there any more" in "\n".join(text_of(frame(screen, 80, 24)))
    assert chosen_row(hands.state, []) is None
    assert "nothing to look into" in pressed(TopState(), "enter", [])[0].notice


def test_the_log_is_narrowed_to_what_is_about_a_row() -> None:
    screen = TopScreen(page=page([], [task(1, "leased")]))
    rows = {row.key.kind: row for row in rows_of(screen)}
    assert is_about('{"event": "x", "task": 1}', rows["task"])
    assert is_about('{"event": "x", "role": "reviewer"}', rows["role"])
    assert is_about('{"event": "x", "worker": 7}', rows["process"])
    assert not is_about('{"event": "x", "task": 12}', rows["task"])
    assert not is_about("[1]", rows["task"])
    assert not is_about("no json", rows["task"])
