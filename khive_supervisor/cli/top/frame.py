"""The lines of the screen, by what is known, where somebody is, and how large it is. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from khive_supervisor.cli.top.cells import (
    GAP,
    Line,
    ScreenSpan,
    clean,
    filled,
    fitted,
    shares,
    width_of,
    widths,
)
from khive_supervisor.cli.top.details import folded, help_lines, row_lines
from khive_supervisor.cli.top.rows import STYLES, OverviewRow, Section, head, index_line, sections
from khive_supervisor.cli.top.state import TopState, chosen_row
from khive_supervisor.overview.asked import Page, Reply

#: Lines above the rows, and below them.
_HEAD, _FOOT = 2, 1
_FOOTER = "enter look  / filter  l log  d drain  r resume  c cancel  ? help  q quit"


@dataclass(frozen=True, slots=True)
class TopScreen:
    """All that a frame is made of.

    Attributes:
        page: what the overview says; None before the first answer.
        away: why nobody answers now; empty while somebody does.
        more: what was asked of the row that is looked into.
        log: lines of the log that are to be shown, as people read them.
        clock: the time of day, as it is shown.
    """

    state: TopState = field(default_factory=TopState)
    page: Page | None = None
    away: str = ""
    more: Reply | None = None
    log: Sequence[str] = ()
    clock: str = ""


def rows_of(screen: TopScreen) -> list[OverviewRow]:
    """Return the rows that can be chosen, in the order in which they are shown."""
    if screen.page is None:
        return []
    return [row for one in sections(screen.page, screen.state.words) for row in one.rows]


def frame(screen: TopScreen, width: int, height: int) -> list[Line]:
    """Return exactly `height` lines of at most `width` cells."""
    room = max(0, height - _HEAD - _FOOT)
    lines = [*_heading(screen, width), *_body(screen, width, room)]
    lines = lines[: max(0, height - _FOOT)]
    lines += [()] * (height - _FOOT - len(lines))
    return [fitted(line, width) for line in [*lines, _footer(screen)]][-height:]


def whole(screen: TopScreen, width: int) -> list[Line]:
    """Return all rows under their headings, as many lines as there are."""
    if screen.page is None:
        return []
    lines = _heading(screen, width)
    for section in sections(screen.page, screen.state.words):
        lines += [(), *_section(section, len(section.rows), None, width)]
    return [fitted(line, width) for line in lines]


def _heading(screen: TopScreen, width: int) -> list[Line]:
    if screen.page is None:
        said = screen.away or "Waiting for the supervisor's answer."
        return [(ScreenSpan("khive-supervisor  "), ScreenSpan(said, "warn")), ()]
    state, said = head(screen.page)
    version = screen.page["status"].get("version", "")
    left = (
        ScreenSpan(f"khive-supervisor {version}  ", "bold"),
        ScreenSpan(state, STYLES.get(state, "warn")),
    )
    if screen.away:
        left = (left[0], ScreenSpan(f"away: {screen.away}", "bad"))
        said = ""
    used = sum(width_of(clean(span.text)) for span in left)
    middle = filled(f"  {clean(said)}", max(0, width - used - len(screen.clock) - 1))
    return [
        (*left, ScreenSpan(middle), ScreenSpan(f" {screen.clock}", "dim")),
        (ScreenSpan(index_line(screen.page), "dim"),),
    ]


def _body(screen: TopScreen, width: int, room: int) -> list[Line]:
    state, rows = screen.state, rows_of(screen)
    row = chosen_row(state, rows)
    if state.view == "help":
        return _part(help_lines(), state.scroll, room)
    if state.view == "log":
        return _log(screen, width, room)
    if state.view == "row":
        if row is None or row.key != state.chosen:
            return [(ScreenSpan("It is not there any more; escape goes back.", "dim"),)]
        return _part(row_lines(row, screen.more, width), state.scroll, room)
    return _now(screen, row, width, room)


def _part(lines: list[Line], scroll: int, room: int) -> list[Line]:
    start = min(scroll, max(0, len(lines) - room))
    return lines[start : start + room]


def _log(screen: TopScreen, width: int, room: int) -> list[Line]:
    """Return the log's last lines, folded; `scroll` is in whole lines of the log."""
    if not screen.log:
        return [(ScreenSpan("The log says nothing about it of late; L shows all of it.", "dim"),)]
    end = max(min(room, len(screen.log)), len(screen.log) - screen.state.scroll)
    lines = [part for line in screen.log[max(0, end - room) : end] for part in folded(line, width)]
    return [(ScreenSpan(part),) for part in lines[max(0, len(lines) - room) :]]


def _now(screen: TopScreen, row: OverviewRow | None, width: int, room: int) -> list[Line]:
    if screen.page is None:
        return []
    shown = sections(screen.page, screen.state.words)
    wanted = [1 + max(1, len(section.rows)) for section in shown]
    apart = sum(wanted) + len(shown) - 1 <= room
    lines: list[Line] = []
    for section, lines_of in zip(shown, shares(wanted, room), strict=True):
        if apart and lines:
            lines.append(())
        if lines_of:
            lines += _section(section, lines_of - 1, row, width)
    return lines


def _section(section: Section, count: int, chosen: OverviewRow | None, width: int) -> list[Line]:
    """Return a section's heading and so many of its rows, the chosen one among them."""
    total = len(section.rows)
    first = f"{section.title} {count}/{total}" if count < total else f"{section.title} {total}"
    if not total:
        return [(ScreenSpan(section.title, "head"), ScreenSpan(f"  {section.empty}", "dim"))]
    heads = (first, *section.heads[1:])
    columns = widths([heads, *(row.cells for row in section.rows)], section.caps, width)
    named = [row.key for row in section.rows]
    at = named.index(chosen.key) if chosen is not None and chosen.key in named else -1
    start = min(max(0, at - count // 2), max(0, total - count))
    rows = enumerate(section.rows[start : start + count], start)
    shown = [_row(section, row, columns, n == at) for n, row in rows]
    return [(ScreenSpan(_joined(heads, columns), "head"),), *shown]


def _row(section: Section, row: OverviewRow, columns: Sequence[int], chosen: bool) -> Line:
    if chosen:
        return (ScreenSpan(_joined(row.cells, columns), "chosen"),)
    at = 0 if section.title == "SESSIONS" else 1
    before = _joined(row.cells[:at], columns) + (GAP if at else "")
    state = filled(row.cells[at], columns[at])
    after = GAP + _joined(row.cells[at + 1 :], columns[at + 1 :])
    return (ScreenSpan(before), ScreenSpan(state, STYLES.get(row.state, "")), ScreenSpan(after))


def _joined(cells: Sequence[str], columns: Sequence[int]) -> str:
    parts = (filled(cell, column) for cell, column in zip(cells, columns, strict=False))
    return GAP.join(parts)


def _footer(screen: TopScreen) -> Line:
    state = screen.state
    if state.asked is not None:
        return (
            ScreenSpan(state.asked.question, "warn"),
            ScreenSpan("  y: yes, any other key: no", "bold"),
        )
    if state.typing:
        return (
            ScreenSpan(f"filter: {state.words}_", "bold"),
            ScreenSpan("  enter: keep, escape: all", "dim"),
        )
    if state.notice:
        return (ScreenSpan(state.notice, "bold"),)
    words = (ScreenSpan(f"filter: {state.words}  ", "warn"),) if state.words else ()
    if state.view != "now":
        return (ScreenSpan("escape back  up and down scroll  ? help  q quit", "dim"),)
    return (*words, ScreenSpan(_FOOTER, "dim"))
