"""The page: how quick and heavy it is, how soon it changes, and what it costs while it is open."""

from __future__ import annotations

import time
from contextlib import ExitStack

from benchmarks.core.context import Context
from benchmarks.core.installation import Installation
from benchmarks.core.report import Row, Sample, say
from benchmarks.core.session import Session
from benchmarks.desk.fleet import ENTRIES, QUICK_ENTRIES, SESSIONS, client_of, filled, tell
from benchmarks.desk.reader import OpenPage, PageReader

#: Pages that are measured, and those before them that are not; changes; calls of each kind.
PAGES, WARM_UP, CHANGES, CALLS = 300, 20, 100, 400
#: Milliseconds of a page, and of a change until it is shown; bytes.
P50, P99, CHANGED, WEIGHT = 30.0, 100.0, 300.0, 150_000
#: How much slower calls may be while pages are open, and how many are.
SLOWER, OPEN_PAGES = 0.05, 5
#: Calls of one turn, and the seconds before each: that pages were just opened is over by then.
TURN, SETTLED = 100, 2.0


def measure(context: Context) -> list[Row]:
    """The rows of the page."""
    count = QUICK_ENTRIES if context.quick else ENTRIES
    with filled(context, count) as khive, PageReader(khive) as reader:
        return [
            _speed(context, reader, count),
            _weight(reader),
            _change(context, khive, reader),
            _calls(context, khive),
        ]


def _speed(context: Context, reader: PageReader, count: int) -> Row:
    taken = [reader.page()[0] for _ in range(WARM_UP + context.times(PAGES))]
    found = Sample(tuple(taken[WARM_UP:]))
    return Row(
        what=f"the first page, {count:,} entries and {SESSIONS} sessions",
        target=f"p50 <= {P50:g}, p99 <= {P99:g} ms",
        khive=found.show("ms", 50, 99),
        met=found.p50 <= P50 and found.quantile(0.99) <= P99,
        notes=("Asked and read on a loopback connection that is kept, so that both ends count.",),
        data=found.as_dict(),
    )


def _weight(reader: PageReader) -> Row:
    weight = reader.weight()
    return Row(
        what="weight of the first page with all assets, not compressed",
        target=f"<= {WEIGHT / 1000:g} kB",
        khive=f"{weight / 1000:.1f} kB",
        met=weight <= WEIGHT,
        data={"bytes": weight},
    )


def _change(context: Context, khive: Installation, reader: PageReader) -> Row:
    """A prompt in a session, until the page that is open has been asked for again and shows it."""
    page, taken = OpenPage(reader), []
    say("changes")
    with client_of(khive, "s1") as client:
        for number in range(context.times(CHANGES)):
            page.changed.clear()
            mark = f"Look at change-{number}."
            tell(client, khive, "s1", mark)
            began = time.perf_counter()
            while mark.encode() not in page.page:
                assert time.perf_counter() - began < 30, "the page does not change"
                page.changed.wait(1.0)
                page.changed.clear()
            taken.append((time.perf_counter() - began) * 1000)
    page.close()
    found = Sample(tuple(taken))
    return Row(
        what="a change in a session until the open page shows it",
        target=f"p99 <= {CHANGED:g} ms",
        khive=found.show("ms", 50, 99),
        met=found.quantile(0.99) <= CHANGED,
        data=found.as_dict(),
    )


def _calls(context: Context, khive: Installation) -> Row:
    """Recalls of one session, in turns with no page and with five open."""
    say("calls")
    taken: dict[bool, list[float]] = {False: [], True: []}
    with Session(khive.attach()) as session:
        session.initialize()
        for number in range(WARM_UP):
            session.search(f"decision {number}")
        with ExitStack() as readers:
            pages = [readers.enter_context(PageReader(khive)) for _ in range(OPEN_PAGES)]
            for turn in range(max(2, context.times(CALLS) // TURN) * 2):
                shown = pages if turn % 2 else []
                taken[bool(shown)] += _turn(session, shown, turn)
    without, beside = (Sample(tuple(taken[one])) for one in (False, True))
    slower = beside.p50 / without.p50 - 1
    return Row(
        what=f"recall in a session while {OPEN_PAGES} pages are open, and without",
        target=f"p50 within {SLOWER:.0%}",
        khive=f"{beside.show('ms', 50, 99)}; without {without.show('ms', 50, 99)}; {slower:+.1%}",
        met=slower <= SLOWER,
        data={"beside": beside.as_dict(), "without": without.as_dict()},
    )


def _turn(session: Session, readers: list[PageReader], turn: int) -> list[float]:
    with ExitStack() as stack:
        for reader in readers:
            page = OpenPage(reader)
            stack.callback(page.close)
            page.changed.wait(10.0)  # it is loaded before calls are measured
        time.sleep(SETTLED)
        return [session.search(f"service {turn * TURN + n} flag")[0] for n in range(TURN)]
