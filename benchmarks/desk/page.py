"""The page: how quick and heavy it is, how soon it changes, and what it costs while it is open."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from benchmarks.core.context import Context
from benchmarks.core.installation import Installation, installed
from benchmarks.core.processes import memory_of, processor_seconds
from benchmarks.core.report import Row, Sample, say
from benchmarks.core.session import Session
from benchmarks.desk.reader import OpenPage, PageReader
from khive_supervisor.control.client import ControlClient
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.model import NewEntry

ENTRIES, QUICK_ENTRIES, SESSIONS = 100_000, 5_000, 50
#: Pages that are measured, and those before them that are not; changes; calls of each kind.
PAGES, WARM_UP, CHANGES, CALLS = 300, 20, 100, 400
#: Seconds for which a page is open, and with --quick.
OPEN, QUICK_OPEN = 600.0, 30.0
#: Milliseconds of a page, and of a change until it is shown; bytes; what an open page may cost.
P50, P99, CHANGED, WEIGHT, SHARE, GROWTH = 30.0, 100.0, 300.0, 150_000, 0.01, 5e6
#: How much slower calls may be while pages are open, and how many are.
SLOWER, OPEN_PAGES = 0.05, 5
#: Searches go by words: what is measured is the page.
_CONFIGURATION = '[http]\nenabled = true\nport = 0\n[embedder]\nkind = "none"\n'
_BATCH = 1000


def measure(context: Context) -> list[Row]:
    """The rows of the page."""
    count = QUICK_ENTRIES if context.quick else ENTRIES
    with _filled(context, count) as khive, PageReader(khive) as reader:
        return [
            _speed(context, reader, count),
            _weight(reader),
            _change(context, khive, reader),
            _calls(context, khive),
            _left_open(khive, reader, QUICK_OPEN if context.quick else OPEN),
        ]


@contextmanager
def _filled(context: Context, count: int) -> Iterator[Installation]:
    with installed(context.work) as khive:
        khive.write_configuration(_CONFIGURATION)
        khive.store.parent.mkdir(parents=True, mode=0o700)
        say(f"storing {count:,} entries")
        with SqliteStore(str(khive.store), secrets="off") as store:
            for first in range(0, count, _BATCH):
                numbers = range(first, min(first + _BATCH, count))
                store.entries.add([_entry(number) for number in numbers])
        khive.start()
        with ControlClient(khive.socket, "verbs", cwd="/", env={}) as client:
            for number in range(SESSIONS):
                client.request("hooks.command", _prompted(khive, number))
        yield khive


def _entry(number: int) -> NewEntry:
    text = f"Decision {number}: the service {number % 97} keeps its flag until release {number}."
    return NewEntry("memory", "default", "semantic", f"decision {number}", text)


def _prompted(khive: Installation, number: int) -> dict[str, str]:
    said = {"session_id": f"s{number}", "cwd": str(khive.home), "prompt": f"Look at {number}."}
    return {"client": "claude-code", "event": "user-prompt-submit", "said": json.dumps(said)}


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
    with ControlClient(khive.socket, "verbs", cwd="/", env={}) as client:
        for number in range(context.times(CHANGES)):
            page.changed.clear()
            mark = f"Look at change-{number}."
            said = {"session_id": "s1", "cwd": str(khive.home), "prompt": mark}
            args = {"client": "claude-code", "event": "user-prompt-submit",
                    "said": json.dumps(said)}  # fmt: skip
            client.request("hooks.command", args)
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
    """Recalls of one session, in turns of twenty with no page and with five open."""
    say("calls")
    taken: dict[bool, list[float]] = {False: [], True: []}
    with Session(khive.attach()) as session:
        session.initialize()
        for number in range(WARM_UP):
            session.search(f"decision {number}")
        with ExitStack() as readers:
            pages = [readers.enter_context(PageReader(khive)) for _ in range(OPEN_PAGES)]
            for turn in range(max(2, context.times(CALLS) // 20) * 2):
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
        return [session.search(f"service {turn * 20 + n} flag")[0] for n in range(20)]


def _left_open(khive: Installation, reader: PageReader, seconds: float) -> Row:
    """One page that is open while sessions rest."""
    pid = next(c["pid"] for c in khive.status()["children"] if c["name"] == "http")
    page = OpenPage(reader)
    page.changed.wait(10.0)
    used, before = processor_seconds([pid]), memory_of(pid)
    time.sleep(seconds)
    used, after = processor_seconds([pid]) - used, memory_of(pid)
    page.close()
    growth = (after.rest + after.index) - (before.rest + before.index)
    return Row(
        what=f"a page open for {seconds / 60:g} minutes with {SESSIONS} sessions that rest",
        target=f"< {SHARE:.0%} of a core, < {GROWTH / 1e6:g} MB",
        khive=f"{used / seconds:.2%} of a core, {growth / 1e6:+.2f} MB (PSS)",
        met=used / seconds < SHARE and growth < GROWTH,
        notes=(f"Asked for anew {page.asked} times meanwhile.",),
        data={"seconds": seconds, "processor": used, "growth_bytes": growth},
    )
