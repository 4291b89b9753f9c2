"""The store as records, a page at a time, and records of another store taken in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from khive_supervisor.errors import InvalidInput, KhiveError
from khive_supervisor.exchange.fields import fault
from khive_supervisor.packs.curation import listing
from khive_supervisor.packs.memory.projects import EVERYWHERE, family_of
from khive_supervisor.projects.identity import NAME_LIMIT
from khive_supervisor.store import curation
from khive_supervisor.store.curation import ExportFilter, Imported, Listing, Record
from khive_supervisor.store.entries import gated
from khive_supervisor.store.model import How, NewEntry, Provenance, SaidBy
from khive_supervisor.text.plain_json import JsonObject
from khive_supervisor.verbs import belonging, ingest, schema
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Answer, Arguments

#: Records of one answer or call, and characters of an answer: well below a frame.
MOST, ANSWER_CHARACTERS = 1000, 2_000_000
#: What becomes of a memory's salience and its loss a day, if its record does not say.
SALIENCE, DECAY = 0.5, 0.005

#: What an import is called among the changes that can be undone.
_CHANGE = "import"
#: The project of the session.
HERE = "here"
_WHO = ("actor", "client", "client_version", "session", "task", "role")
_FILTERS = (*listing.WHICH, "state")
EXPORT: JsonObject = {
    "section": schema.text("What to return records of.", choices=curation.SECTIONS),
    "after": schema.whole("Go on above this place: `next` of the page before.", least=0),
    **listing.WHICH,
    "state": listing.STATE,
    "vectors": schema.flag("Entries come with their vectors."),
}
IMPORT: JsonObject = {
    "store": schema.text("Where the records' numbers come from.", shortest=1, longest=200),
    "records": schema.array({"type": "object"}, "As docs/export.md has them.", most=MOST),
    "project": schema.text(
        "The project of all entries: its name, here (the session's), or everywhere (for all "
        "projects); without it, each one's own.",
        longest=NAME_LIMIT,
    ),
    "continues": schema.flag("They go on with those of the call before: all are undone as one."),
    "dry_run": schema.flag("Store nothing; only entries are looked at."),
}


def export_records(context: Context, args: Arguments) -> Answer:
    """Return the next records of a section, and where to go on."""
    where = ExportFilter(_listing(context, args), _model(context) if args.get("vectors") else None)
    found = context.store.exchange.records(args["section"], args.get("after", 0), MOST, where)
    taken: list[Record] = []
    room, place = ANSWER_CHARACTERS, args.get("after", 0)
    for number, record in found:
        room -= _characters(record)
        if room < 0 and taken:
            break
        taken.append(record)
        place = number
    answer: dict[str, object] = {"records": taken, "store": context.store.past().hex()}
    if len(taken) < len(found) or len(found) == MOST:
        answer["next"] = place
    return answer


def _characters(record: Record) -> int:
    """Return about how long a record is as JSON, rather more: what is long of one is its texts."""
    texts = [value for value in record.values() if type(value) is str]
    return 500 + sum([len(text) * (2 if text.isascii() else 6) for text in texts])


def _listing(context: Context, args: Arguments) -> Listing | None:
    """Return which entries are asked for; None: all of every namespace, dead ones too."""
    if not any(name in args for name in _FILTERS):
        return None
    asked = {"in": "all", "state": curation.ALL, "scope": belonging.ALL, **args}
    found = listing.listing_of(context, asked)
    if "namespace" in args:
        return found
    return replace(found, where=replace(found.where, namespaces=None))


def _model(context: Context) -> str | None:
    return context.embedder.model_id if context.embedder is not None else None


def import_records(context: Context, args: Arguments) -> Answer:
    """Store records of another store in one transaction; each that is here already stays."""
    kept: list[Record] = []
    entries: dict[int, NewEntry] = {}
    refused: list[Mapping[str, object]] = []
    project = _project(context, args)
    for place, record in enumerate(args["records"]):
        try:
            entry = _entry(context, record, project)
        except KhiveError as error:
            why = error.message.removesuffix(" Nothing was stored.")  # the others are
            refused.append({"place": place, "why": why})
            continue
        if entry is not None:
            entries[len(kept)] = entry
        elif args.get("dry_run") and record["type"] != "project":
            continue
        kept.append(record)
    done = _taken(context, args, kept, entries)
    if args.get("dry_run"):
        done = [one for place, one in enumerate(done) if place in entries]
    return {**_counted(done), "refused": refused}


def _project(context: Context, args: Arguments) -> int | None:
    """Return the project that all entries get, None for every project; as records say otherwise."""
    asked = args.get("project", EVERYWHERE)
    if asked == HERE:
        return context.store_project()
    return None if asked == EVERYWHERE else family_of(context.store, asked).ids[0]


def _provenance(context: Context, record: Mapping[str, Any]) -> Provenance | None:
    """Return who stored an entry where it comes from; of another program's, who imports it."""
    given = record.get("provenance")
    if given is None and "id" in record:
        return None
    if given is None:
        return belonging.provenance(context, How.IMPORTED)
    try:
        return Provenance(
            SaidBy(given["by"]), How(given["how"]), **{n: str(given.get(n, "")) for n in _WHO}
        )
    except (ValueError, KeyError):
        raise InvalidInput("The record has a provenance that says neither who nor how.") from None


def _entry(context: Context, record: Mapping[str, Any], project: int | None) -> NewEntry | None:
    """Return the entry of a record as it may be kept; None if it is a record of something else.

    Raises:
        InvalidInput: it cannot be stored, or is no record.
        SecretFound: a memory holds a secret.
    """
    if why := fault(record):
        raise InvalidInput(f"The record {why}.")
    if record["type"] != "entry":
        return None
    texts = {
        name: ingest.check_text(record.get(name, ""), name)
        for name in ("namespace", "kind", "title", "source")
    }
    entry = NewEntry(
        collection=record["collection"],
        namespace=context.namespace(texts["namespace"] or None),
        kind=texts["kind"],
        title=texts["title"],
        content=ingest.check_content(context, record["content"]),
        tags=tuple(ingest.check_text(tag, "a tag") for tag in record.get("tags", ())),
        salience=float(record.get("salience", SALIENCE)),
        decay=float(record.get("decay", DECAY)),
        source=texts["source"] or None,
        created_at=record.get("created_at"),
        project=project,
        branch=record.get("branch"),
        commit=record.get("commit"),
        provenance=_provenance(context, record),
    )
    return gated(context.gate, entry)


class _NotForGoodError(Exception):
    """Nothing is to be kept of what was done."""


def _taken(
    context: Context, args: Arguments, kept: Sequence[Record], entries: Mapping[int, NewEntry]
) -> list[Imported]:
    def take() -> list[Imported]:
        anywhere = "project" not in args
        return context.store.exchange.take(args["store"], kept, entries, anywhere=anywhere)

    found: list[Imported] = []
    if args.get("dry_run"):
        with suppress(_NotForGoodError), context.store.transaction():
            found = take()
            raise _NotForGoodError
        return found
    onto = _CHANGE if args.get("continues") else ""
    with context.store.changes.recorded(_CHANGE, [], [*entries.values()], onto):
        found = take()
    context.profiles.changed()
    return found


def _counted(done: Sequence[Imported]) -> dict[str, object]:
    outcomes = Counter(one.outcome for one in done)
    reasons = Counter(one.why for one in done if one.outcome == curation.LEFT_OUT)
    return {
        "stored": outcomes[curation.STORED],
        "known": outcomes[curation.KNOWN],
        "left_out": dict(reasons),
    }
