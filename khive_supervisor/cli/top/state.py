"""Where somebody is on the screen, and what a key does there. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from khive_supervisor.cli.top.rows import OverviewRow, RowKey
from khive_supervisor.overview.asked import Wish

#: now: all rows; row: one of them, looked into; log: the log's end; help: the keys.
TopView = Literal["now", "row", "log", "help"]
#: Lines that page up and page down go.
PAGE = 10


#: States of tasks that can be cancelled.
_OPEN = ("queued", "leased", "waiting")


@dataclass(frozen=True, slots=True)
class AskedChange:
    """Something that is done when the question is answered with y."""

    wish: Wish
    question: str
    done: str


@dataclass(frozen=True, slots=True)
class TopState:
    """Where somebody is.

    Attributes:
        chosen: the row that the keys are about; it stays chosen wherever it moves.
        words: only rows that have them are shown.
        typing: whether letters are part of the words.
        asked: what waits for a y.
        scroll: lines from the beginning; in the log, from its end.
        whole_log: whether the log shows all, and not only what is about the chosen row.
    """

    view: TopView = "now"
    chosen: RowKey | None = None
    words: str = ""
    typing: bool = False
    asked: AskedChange | None = None
    notice: str = ""
    scroll: int = 0
    whole_log: bool = False
    ended: bool = False


def chosen_row(state: TopState, rows: Sequence[OverviewRow]) -> OverviewRow | None:
    """Return the chosen row; the first one if it is gone, None if there is none."""
    return next((row for row in rows if row.key == state.chosen), rows[0] if rows else None)


def pressed(
    state: TopState, key: str, rows: Sequence[OverviewRow]
) -> tuple[TopState, AskedChange | None]:
    """Return where somebody is after a key, and what is to be done now, if anything."""
    if key == "interrupt":
        return replace(state, ended=True), None
    if state.asked is not None:
        return _answered(state, state.asked, key)
    if state.typing:
        return _typed(state, key), None
    state = replace(state, notice="")
    move = _moved(state, key, rows)
    if move is not None:
        return move, None
    action = _KEYS.get(key)
    return (action(state, chosen_row(state, rows)) if action else state), None


def _answered(state: TopState, asked: AskedChange, key: str) -> tuple[TopState, AskedChange | None]:
    agreed = key in ("y", "Y")
    notice = "It is being done." if agreed else "Nothing was changed."
    return replace(state, asked=None, notice=notice), asked if agreed else None


def _typed(state: TopState, key: str) -> TopState:
    if key == "escape":
        return replace(state, typing=False, words="")
    if key == "enter":
        return replace(state, typing=False)
    if key == "backspace":
        return replace(state, words=state.words[:-1])
    return replace(state, words=state.words + key) if len(key) == 1 else state


def _moved(state: TopState, key: str, rows: Sequence[OverviewRow]) -> TopState | None:
    """Return where somebody is after a key that moves; None if this one does not."""
    steps = {"up": -1, "k": -1, "down": 1, "j": 1, "page up": -PAGE, "page down": PAGE,
             "home": -1_000_000, "end": 1_000_000, "g": -1_000_000, "G": 1_000_000}  # fmt: skip
    step = steps.get(key)
    if step is None:
        return None
    if state.view == "log":
        return replace(state, scroll=max(0, state.scroll - step))
    if state.view != "now":
        return replace(state, scroll=max(0, state.scroll + step))
    here = chosen_row(state, rows)
    if here is None:
        return state
    at = min(max(0, rows.index(here) + step), len(rows) - 1)
    return replace(state, chosen=rows[at].key)


def _quit(state: TopState, _row: OverviewRow | None) -> TopState:
    return replace(state, ended=True)


def _back(state: TopState, _row: OverviewRow | None) -> TopState:
    if state.view == "now":
        return replace(state, words="")
    return replace(state, view="now", scroll=0)


def _show(view: TopView, **more: bool) -> Callable[[TopState, OverviewRow | None], TopState]:
    def show(state: TopState, row: OverviewRow | None) -> TopState:
        if view == "row" and row is None:
            return replace(state, notice="There is nothing to look into.")
        chosen = row.key if row is not None else None
        shown = replace(state, view=view, scroll=0, chosen=chosen)
        return replace(shown, whole_log=more.get("whole_log", False))

    return show


def _filter(state: TopState, _row: OverviewRow | None) -> TopState:
    return replace(state, view="now", typing=True, scroll=0)


def _of_role(state: TopState, row: OverviewRow | None, change: str) -> TopState:
    if row is None or row.key.kind != "role":
        return replace(state, notice="Choose a role first, with the arrow keys.")
    name, held = row.key.name, row.facts.get("leased", 0)
    asked = {
        "drain": AskedChange(
            Wish("roles.drain", {"role": name}, supervisor=True),
            f"Drain {name}? It finishes the {held} at work; the others wait until it is resumed.",
            f"{name} is out of service.",
        ),
        "resume": AskedChange(
            Wish("roles.resume", {"role": name}, supervisor=True),
            f"Put {name} back in service?",
            f"{name} is in service.",
        ),
    }[change]
    return replace(state, asked=asked)


def _drain(state: TopState, row: OverviewRow | None) -> TopState:
    return _of_role(state, row, "drain")


def _resume(state: TopState, row: OverviewRow | None) -> TopState:
    return _of_role(state, row, "resume")


def _cancel(state: TopState, row: OverviewRow | None) -> TopState:
    if row is None or row.key.kind != "task":
        return replace(state, notice="Choose a task first, with the arrow keys.")
    if row.state not in _OPEN:
        return replace(state, notice=f"{row.key.name} has ended: it is {row.state}.")
    works = row.state == "leased"
    asks = "It is being done, and is asked to stop." if works else "It waits."
    done = "is asked to stop." if works else "is cancelled."
    wish = Wish("agents.cancel", {"task": row.key.name})
    question = f"Cancel {row.key.name}? {asks}"
    return replace(state, asked=AskedChange(wish, question, f"{row.key.name} {done}"))


_KEYS: Mapping[str, Callable[[TopState, OverviewRow | None], TopState]] = {
    "q": _quit, "escape": _back, "left": _back, "enter": _show("row"), "right": _show("row"),
    "l": _show("log"), "L": _show("log", whole_log=True), "?": _show("help"), "h": _show("help"),
    "/": _filter, "d": _drain, "r": _resume, "c": _cancel,
}  # fmt: skip
