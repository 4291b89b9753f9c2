"""Is what was said found by when it was said: in words of every day, and as the reader's clock is.

The same subjects are decided on again and again; only the date tells the decisions apart, and no
text has it. Each phrase stands beside the day that it means, written down before the rules were.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from benchmarks.core.context import Context
from benchmarks.core.report import Row
from khive_supervisor.config.load import from_dict
from khive_supervisor.embed.minilm import MiniLM
from khive_supervisor.packs import loading
from khive_supervisor.store.model import NewEntry
from khive_supervisor.verbs.context import Context as VerbContext
from khive_supervisor.verbs.context import SessionInfo
from khive_supervisor.verbs.ingest import stored_form

REGISTRY = loading.load()
ZONE = "America/Los_Angeles"
#: A Wednesday, for the reader.
NOW = dt.datetime(2026, 11, 18, 15, 0, tzinfo=ZoneInfo(ZONE))
#: What is asked, and when that was: some of it late in the evening, which is another day elsewhere.
PHRASES = (
    ("yesterday", "2026-11-17 22:30"),
    ("last week", "2026-11-11 11:00"),
    ("two weeks ago", "2026-11-04 09:00"),
    ("last month", "2026-10-14 16:00"),
    ("in September", "2026-09-09 10:00"),
    ("last summer", "2026-07-02 12:00"),
    ("in May", "2026-05-31 23:10"),
    ("last March", "2026-03-10 08:00"),
    ("on 5 January", "2026-01-05 20:45"),
    ("in September 2025", "2025-09-23 13:00"),
    ("in 2024", "2024-12-31 21:30"),
)
SUBJECTS = (
    "the retry budget", "the colour of the logo", "how backups are kept", "the release train",
    "rate limits of the public API", "the on-call rota", "the test database", "feature flags",
    "log retention", "the design of the settings page", "the search index", "password rules",
    "who reviews migrations", "the size of the thread pool", "the cache of thumbnails",
    "the billing export", "how we name branches", "the deprecation of v1", "time zones in reports",
    "the staging cluster",
)  # fmt: skip
DETAILS = (
    "leave it as it is", "double it", "ask Carla first", "write it down", "halve it",
    "move it to the other team", "try the simple way", "wait for the vendor", "do it by hand",
    "drop it", "begin again",
)  # fmt: skip
#: A time at which nothing was said: the subject is found all the same.
NEVER = "in 2019"


class Note(NamedTuple):
    """What was decided on a subject, when, and how one asks for that time."""

    subject: str
    text: str
    phrase: str
    at: float


def notes() -> Iterator[Note]:
    """Yield every decision."""
    for number, subject in enumerate(SUBJECTS):
        for place, (phrase, said) in enumerate(PHRASES):
            detail = DETAILS[(place * 3 + number) % len(DETAILS)]
            at = dt.datetime.fromisoformat(said).replace(tzinfo=ZoneInfo(ZONE)).timestamp()
            yield Note(subject, f"We talked about {subject} and decided to {detail}.", phrase, at)


def measure(context: Context) -> list[Row]:
    """The row of dates."""
    every = list(notes())
    session = _session(context.work / "dates", every)
    first = sum(_first(session, one.subject, one.phrase) == one.text for one in every)
    without = sum(_first(session, one.subject, "") == one.text for one in every)
    soft = sum(subject in _first(session, subject, NEVER) for subject in SUBJECTS)
    session.close()
    return [
        Row(
            what=f"what was said at a time, {len(every)} questions for one of {len(PHRASES)} times",
            target="the right one first: 95 %; of a time without anything, its subject",
            khive=f"{100 * first / len(every):.1f} %; {soft} of {len(SUBJECTS)}",
            peers=(f"without the time: {100 * without / len(every):.1f} %",),
            met=first >= 0.95 * len(every) and soft == len(SUBJECTS),
        )
    ]


def _session(place: Path, every: Sequence[Note]) -> VerbContext:
    place.mkdir(parents=True, exist_ok=True)
    for old in place.glob("khive.db*"):
        if old.is_file():
            old.unlink()
    model = MiniLM(threads=2)
    session = VerbContext(
        from_dict({"store": {"path": str(place / "khive.db")}}),
        SessionInfo(id="dates", environment={"TZ": ZONE}),
        socket_path=None,
        make_embedder=lambda: model,
        wall_clock=NOW.timestamp,
    )
    new = [
        NewEntry("memory", "default", "semantic", "", one.text, created_at=one.at) for one in every
    ]
    vectors = stored_form(model.embed([f"\n{one.text}" for one in every]))
    session.store.entries.add(new, vectors, model.model_id)
    return session


def _first(session: VerbContext, subject: str, phrase: str) -> str:
    """Return the first result of a question, empty if there is none."""
    asked = {"query": f"what did we decide about {subject} {phrase}".strip(), "limit": 3}
    results = REGISTRY.call(session, "memory.recall", asked)["results"]
    return str(results[0]["content"]) if results else ""
