"""How ids, times, entries and filters look from outside, and what they are inside."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from typing import Any, NotRequired, TypedDict, TypeVar, cast

from khive_supervisor.errors import Denied, InvalidInput, KhiveError, NotFound
from khive_supervisor.store.interface import Store
from khive_supervisor.store.model import Entry, EntryFilter, How, SaidBy
from khive_supervisor.team.waiting import handled
from khive_supervisor.text.plain_json import JsonObject
from khive_supervisor.verbs import belonging, schema
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Answer

T = TypeVar("T")

_ID = re.compile(r"([mke])([1-9][0-9]{0,17})")
_AGO = re.compile(r"([0-9]{1,6})\s*(s|m|h|d|w)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
#: The first and the last moment that a calendar can show, in unix seconds.
FIRST = dt.datetime(1, 1, 1, tzinfo=dt.UTC).timestamp()
LAST = dt.datetime(9999, 12, 31, 23, 59, 59, tzinfo=dt.UTC).timestamp()
_LETTER = {"memory": "m", "knowledge": "k", "execution": "e"}

#: Characters of a namespace: it is a name, not a text.
NAMESPACE_LIMIT = 128
#: Characters of the line that names an entry.
LINE_CHARACTERS = 160
#: Tags on one entry, and characters of one.
TAGS_LIMIT, TAG_LENGTH = 32, 64

ID = schema.text("An id from an earlier answer, such as m12 or k7.")
IDS = schema.array(
    schema.text(), "Ids from earlier answers, such as m12 or k7.", fewest=1, most=100
)
NAMESPACE = schema.text(
    "Where it belongs; the session's own when left out.",
    shortest=1,
    longest=NAMESPACE_LIMIT,
    pattern=r"^[^\s\x00-\x1f]+$(?!\n)",
)
TAGS = schema.array(
    schema.text(shortest=1, longest=TAG_LENGTH), "Short labels to filter by.", most=TAGS_LIMIT
)
#: The end is guarded: for Python's `$`, a line's end before it is the end, too.
KIND_PATTERN = r"^[a-z][a-z0-9_-]{0,39}$(?!\n)"
FILTERS: JsonObject = {
    "namespace": {**NAMESPACE, "description": "Where to search; the session's own by default."},
    "kind": schema.text("Only this kind.", pattern=KIND_PATTERN),
    "tags": {**TAGS, "description": "Only entries that have all of these tags."},
    "since": schema.text(
        "Only entries made since then: ISO 8601 (in UTC unless it says otherwise) or an age (7d)."
    ),
    "until": schema.text("Only entries made before then; same forms."),
    "scope": belonging.SCOPE,
    "source": schema.text("Only entries whose source begins so.", longest=4096),
}
#: Filters by who stored an entry.
STORED_BY: JsonObject = {
    "by": schema.text(
        "Only what a person, an agent or a tool has stored.", choices=[one.value for one in SaidBy]
    ),
    "actor": schema.text("Only what this actor has stored.", longest=200),
    "client": schema.text("Only what was stored by this client, such as claude-code.", longest=100),
    "how": schema.text("Only what came so.", choices=[one.value for one in How]),
    "session": schema.text("Only what this session has stored.", longest=200),
    "from_task": schema.text("Only what was stored in this task, such as t3.", longest=40),
    "role": schema.text("Only what workers of this role have stored.", longest=200),
}
PINNED = schema.flag("Only pinned ones.")
LIMIT = schema.whole("How many results at most (10).", least=1, most=100)


def entry_id(text: str) -> int:
    """Return the number behind an id.

    Raises:
        InvalidInput: not an id.
    """
    found = _ID.fullmatch(text.strip())
    if found is None and (number := handled(text)) is not None:
        raise InvalidInput(
            f"{text.strip()} is a write that waits for the team's server, and has no id yet.",
            hint="It can be read, and nothing else be done with it, before it is stored. A person "
            f"can have it forgotten: khive-supervisor team drop {number}.",
        )
    if found is None:
        raise InvalidInput(
            f"{text[:80]!r} is not an id.",
            hint="Ids look like m12 (a memory), k7 (knowledge) or e3 (an execution); recall, "
            "search and similar give them.",
        )
    return int(found[2])


def show_id(collection: str, number: int) -> str:
    """Return the id of an entry, as agents and people see it."""
    return f"{_LETTER.get(collection, 'm')}{number}"


def line(entry: Entry) -> str:
    """Return what an entry is about, in a line: its title, or how it begins."""
    return (entry.title or " ".join(entry.content.split()))[:LINE_CHARACTERS]


def existing(store: Store, ids: list[str]) -> list[Entry]:
    """Return the entries of ids, in order, live or not.

    Raises:
        InvalidInput: not an id.
        NotFound: any of them does not exist, or the letter is another collection's.
    """
    entries = {entry.id: entry for entry in store.entries.get([entry_id(text) for text in ids])}
    found = []
    for text in ids:
        entry = entries.get(entry_id(text))
        if entry is None or show_id(entry.collection, entry.id) != text.strip():
            raise NotFound(
                f"There is no entry {text.strip()}.", hint="Search again; ids never change."
            )
        if entry.purged_at is not None:
            raise NotFound(
                f"{text.strip()} was purged ({timestamp(entry.purged_at)}): nothing of it is left.",
                hint="Its id is never used again.",
            )
        found.append(entry)
    return found


def those(context: Context, ids: list[str]) -> tuple[list[Entry], list[str]]:
    """The entries of ids that may be read here, in order, and why the others are not among them.

    Raises:
        KhiveError: there is none of them; what is wrong with each.
    """
    found, notes = each(ids, lambda text: allowed(context, existing(context.store, [text])))
    return [entry for entries in found for entry in entries], notes


def each(ids: list[str], find: Callable[[str], T]) -> tuple[list[T], list[str]]:
    """Return what each of some ids stands for, and why others of them stand for nothing.

    Raises:
        KhiveError: none of them stands for anything; what is wrong with each.
    """
    found: list[T] = []
    problems: list[KhiveError] = []
    for text in ids:
        try:
            found.append(find(text))
        except (InvalidInput, NotFound, Denied) as error:
            problems.append(error)
    notes = list(dict.fromkeys(error.message for error in problems))
    if problems and not found:
        raise type(problems[0])(" ".join(notes), hint=problems[0].hint)
    return found, notes


def noted(answer: Answer, notes: list[str]) -> Answer:
    """Return an answer with what there is to say beside it."""
    return {**answer, "notes": notes} if notes else answer


def allowed(context: Context, entries: list[Entry]) -> list[Entry]:
    """Return the same entries, if their namespaces are allowed here; raises Denied or NotFound."""
    for entry in entries:
        context.namespace(entry.namespace)
    return entries


def timestamp(seconds: float) -> str:
    """Unix seconds as ISO 8601 in UTC."""
    moment = dt.datetime.fromtimestamp(seconds, dt.UTC)
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def moment(text: str, now: float) -> float:
    """Return a time or an age as unix seconds.

    Raises:
        InvalidInput: neither.
    """
    ago = _AGO.fullmatch(text.strip())
    if ago:
        # An age before the calendar's first year means: from the beginning.
        return max(now - int(ago[1]) * _SECONDS[ago[2]], FIRST)
    try:
        parsed = dt.datetime.fromisoformat(text.strip())
        if parsed.tzinfo is None:
            parsed = parsed.replace(tzinfo=dt.UTC)
        return parsed.astimezone(dt.UTC).timestamp()  # refuses what no year of UTC can show
    except (ValueError, OverflowError):
        raise InvalidInput(
            f"{text[:80]!r} is neither a time nor an age.",
            hint="Use ISO 8601 (2026-11-21, 2026-11-21T08:00Z) or an age such as 7d, 12h, 30m.",
        ) from None


def between(args: Mapping[str, Any], now: float) -> tuple[float | None, float | None]:
    """`since` and `until` of a call as unix seconds, each None if it was not given.

    Raises:
        InvalidInput: one is no time, or nothing can lie between them.
    """
    since = moment(args["since"], now) if "since" in args else None
    until = moment(args["until"], now) if "until" in args else None
    if since is not None and until is not None and since > until:
        raise InvalidInput(
            f"Nothing is since {args['since'][:80]!r} and until {args['until'][:80]!r}: "
            "the first is later than the second.",
            hint="Exchange them.",
        )
    return since, until


def entry_filter(context: Context, args: Mapping[str, Any], collection: str | None) -> EntryFilter:
    """Return the filter that a call's arguments ask for; never wider than one allowed namespace."""
    since, until = between(args, context.now())
    return EntryFilter(
        collection=collection,
        namespaces=(context.namespace(args.get("namespace")),),
        kinds=(args["kind"],) if "kind" in args else None,
        tags=tuple(args.get("tags", ())),
        since=since,
        until=until,
        projects=belonging.to_search(context, args),
        by=SaidBy(args["by"]) if "by" in args else None,
        actor=args.get("actor"),
        client=args.get("client"),
        how=How(args["how"]) if "how" in args else None,
        session=args.get("session"),
        task=args.get("from_task"),
        role=args.get("role"),
        source=args.get("source"),
        pinned=args.get("pinned", False),
    )


class ShownEntry(TypedDict):
    """An entry as agents and people see it; what it does not have is left out."""

    id: str
    content: str
    kind: str
    namespace: str
    created_at: str
    title: NotRequired[str]
    tags: NotRequired[list[str]]
    source: NotRequired[str]
    project: NotRequired[str]
    branch: NotRequired[str]
    cut: NotRequired[str]
    forgotten_at: NotRequired[str]
    superseded_by: NotRequired[str]
    valid_from: NotRequired[str]
    valid_until: NotRequired[str]


class WholeEntry(ShownEntry):
    """An entry with everything that is known of it."""

    salience: float
    decay_per_day: float
    updated_at: str
    pinned: NotRequired[bool]
    commit: NotRequired[str]
    provenance: NotRequired[str]


def show(entry: Entry, max_characters: int | None = None, project: str | None = None) -> ShownEntry:
    """Return an entry as agents and people see it; a cut content says so.

    `project` is the name of the entry's project, where it is to be told.
    """
    content = entry.content
    cut = max_characters is not None and len(content) > max_characters
    shown: ShownEntry = {
        "id": show_id(entry.collection, entry.id),
        "content": content[:max_characters] if cut else content,
        "kind": entry.kind,
        "namespace": entry.namespace,
        "created_at": timestamp(entry.created_at),
    }
    if entry.title:
        shown["title"] = entry.title
    if entry.tags:
        shown["tags"] = list(entry.tags)
    if entry.source:
        shown["source"] = entry.source
    if project:
        shown["project"] = project
    if cut:
        shown["cut"] = f"{max_characters} of {len(content)} characters; memory_get has all"
    if entry.deleted_at is not None:
        shown["forgotten_at"] = timestamp(entry.deleted_at)
    if entry.superseded_by is not None:
        shown["superseded_by"] = show_id(entry.collection, entry.superseded_by)
    if entry.valid_from is not None:
        shown["valid_from"] = timestamp(entry.valid_from)
    if entry.valid_until is not None:
        shown["valid_until"] = timestamp(entry.valid_until)
    return shown


def show_whole(entry: Entry, project: str | None = None, provenance: str = "") -> WholeEntry:
    """Return an entry with everything that is known of it; `provenance` says who stored it."""
    whole: dict[str, object] = {
        **show(entry, project=project),
        "salience": entry.salience,
        "decay_per_day": entry.decay,
        "updated_at": timestamp(entry.updated_at),
    }
    more = {"branch": entry.branch, "commit": entry.commit, "provenance": provenance}
    return cast("WholeEntry", whole | {name: said for name, said in more.items() if said})
