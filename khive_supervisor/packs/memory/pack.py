"""The memory pack: what agents remember, and find again by words and by meaning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from khive_supervisor.access.grant import Audience
from khive_supervisor.errors import InvalidInput
from khive_supervisor.packs.memory import listed, waiting
from khive_supervisor.packs.memory.history import LEARN_COMMITS
from khive_supervisor.packs.memory.projects import PROJECT, entry_filter
from khive_supervisor.packs.truth import changing, recalling, succession
from khive_supervisor.packs.truth.tidy import TIDY
from khive_supervisor.store.curation import REMEMBER
from khive_supervisor.store.entries import gated
from khive_supervisor.store.model import Added, Entry, How, NewEntry
from khive_supervisor.verbs import (
    answers,
    belonging,
    forms,
    ingest,
    result_lines,
    schema,
    serving,
    usage,
)
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Answer, Arguments, Pack, Verb

#: What the kinds of memory start with: salience 0 to 1, and its loss per day. An episode (what
#: happened) fades within months, a semantic memory (what holds) within a year or so.
KINDS = {"episodic": (0.3, 0.02), "semantic": (0.5, 0.005)}

#: What is told of what a correction keeps, or does not keep, of the memory that was wrong.
_TITLE_GONE = "The title said what is not in the text any more, and was left out; give another one."
_PAST = "It held until {}, which is past, so it is not found: an age such as 7d counts backwards."
_OVER = "It held until {}, as what it replaces, and is not found any more: give valid_until."

_CONTENT = schema.text(
    "One self-contained fact in plain words; its reader knows nothing of this conversation."
)
_TITLE = schema.text("A short headline.", longest=300)
_SALIENCE = schema.number(
    "How much it matters, 0 to 1; it breaks near ties in recall.", least=0, most=1
)
_DECAY = schema.number("How fast its salience fades, per day.", least=0, most=10)
#: What a correction may say of the memory beside its text, as remember does.
_CORRECTED = ("about", "valid_from", "valid_until")
_KIND = schema.text(
    "semantic (what holds; the default), episodic (what happened), or a word of your own.",
    pattern=forms.KIND_PATTERN,
)
_SOURCE = schema.text("Where it is from.", longest=1000)
#: What is searched, by the word for it; None: both.
COLLECTIONS = {"memory": "memory", "knowledge": "knowledge", "all": None}
_IN = schema.text(
    "memory (the default), knowledge (documents that were learned), or all.", choices=COLLECTIONS
)


def _new_entry(
    context: Context, args: Arguments, where: succession.Place, old: Sequence[Entry] = ()
) -> NewEntry:
    """Return the memory of a call, with what it keeps of those that it replaces."""
    kind = args.get("kind", "semantic")
    salience, decay = KINDS.get(kind, KINDS["semantic"])
    branch, commit = belonging.checked_out(context, where.project)
    entry = NewEntry(
        collection="memory",
        namespace=where.namespace,
        kind=kind,
        title=ingest.check_text(args.get("title", ""), "title"),
        content=ingest.check_content(context, args["content"]),
        tags=tuple(ingest.check_text(tag, "a tag") for tag in args.get("tags", ())),
        salience=float(args.get("salience", salience)),
        decay=float(args.get("decay", decay)),
        source=ingest.check_text(args["source"], "source") if args.get("source") else None,
        project=where.project,
        branch=branch,
        commit=commit,
        provenance=belonging.provenance(context, How.SAID),
        **changing.validity(context, args),
    )
    entry = succession.continued(entry, old, args.keys())
    changing.check_validity(entry)
    return gated(context.gate, entry)


def _notes(
    context: Context, args: Arguments, entry: NewEntry, old: Sequence[Entry] = ()
) -> list[str]:
    """Return what there is to say of an entry that was stored."""
    notes = ingest.left_out((args["content"], args.get("title", entry.title)), entry)
    titles = {one.title for one in old} - {"", entry.title}
    if titles and "title" not in args:
        notes.append(_TITLE_GONE)
    if entry.valid_until is not None and entry.valid_until <= context.now():
        over = _OVER if old and "valid_until" not in args else _PAST
        notes.append(over.format(forms.timestamp(entry.valid_until)))
    return notes


def remember(context: Context, args: Arguments) -> Answer:
    """Store a memory; the same content in the same namespace is recognised, and added to."""
    namespace = context.namespace(args.get("namespace"))
    ingest.check_content(context, args["content"])
    here = succession.Place(namespace, belonging.to_store(context, args))
    asked = changing.asked(context, args)
    where = succession.place(asked.replaced, args, here)
    entry = _new_entry(context, args, where, asked.replaced)
    change = "supersede" if asked.ids else REMEMBER
    (added,) = ingest.add(context, [entry], asked.ids, change)
    usage.used(context, [] if added.created else [added.id], "remembered again")
    usage.used(context, usage.cited(entry.content), "cited")
    more = {} if added.created else _added_to(context, added.id, entry, args)
    answer = {**_stored(added), "namespace": entry.namespace, **more}
    answer |= changing.settled(context, added, asked, args)
    return forms.noted(answer, _notes(context, args, entry, asked.replaced))


def _stored(added: Added) -> Answer:
    return {"id": forms.show_id("memory", added.id), "status": answers.status_of(added)}


def _added_to(
    context: Context, number: int, given: NewEntry, args: Arguments
) -> Mapping[str, Answer]:
    """Return what a known memory has got of what was said of it now, and what it was not given."""
    (before,) = context.store.entries.get([number])
    context.store.entries.annotate(
        number,
        given.tags,
        given.kind if "kind" in args else None,
        given.salience if "salience" in args else None,
    )
    (after,) = context.store.entries.get([number])
    taken: dict[str, object] = {}
    if tags := [tag for tag in after.tags if tag not in before.tags]:
        taken["tags"] = tags
    if after.kind != before.kind:
        taken["kind"] = after.kind
    if after.salience != before.salience:
        taken["salience"] = after.salience
    left: dict[str, object] = {}
    if tags := [tag for tag in given.tags if tag not in after.tags]:
        left["tags"] = tags
    left |= {
        name: args[name]
        for name in ("decay", "source", "valid_from", "valid_until")
        if name in args and getattr(given, name) != getattr(after, name)
    }
    return {n: v for n, v in (("added", taken), ("not_taken", left)) if v}


def recall(context: Context, args: Arguments) -> Answer:
    """Find memories, or documents, by words and by meaning."""
    where = entry_filter(context, args, COLLECTIONS[args.get("in", "memory")])
    kind = serving.RECALL if where.collection == "memory" else serving.SEARCH
    if listed.asks_for_nothing(args) and "as_of" not in args:
        found = listed.newest(context, args, where, kind)
    else:
        found = recalling.search(context, args, where, kind)
    return waiting.with_waiting(context, args, where, found)


def get(context: Context, args: Arguments) -> Answer:
    """Entries in full, forgotten and superseded ones too; a note says which are not there."""
    ids, numbers = waiting.split(args["ids"])
    waits = {"waiting": waiting.named(context, numbers)} if numbers else {}
    entries, notes = forms.those(context, ids) if ids else ([], [])
    usage.used(context, (entry.id for entry in entries), "read")
    return forms.noted({"entries": _whole(context, entries), **waits}, notes)


def _whole(context: Context, entries: Sequence[Entry]) -> list[forms.WholeEntry]:
    """Return entries with everything that is known of them, their projects and who stored them."""
    named = belonging.labels(context, entries, {"scope": belonging.ALL})
    numbers = {one.provenance for one in entries if one.provenance is not None}
    known = context.store.entries.provenances(numbers) if numbers else {}
    said = {number: belonging.described(one) for number, one in known.items()}
    wrote = context.store.entries.members([one.id for one in entries])
    pinned = set(context.store.lists.pinned([one.id for one in entries]))
    shown = [
        forms.show_whole(
            one,
            named.get(one.id),
            belonging.as_member(said.get(one.provenance or 0, ""), wrote.get(one.id, "")),
        )
        for one in entries
    ]
    for one, told in zip(entries, shown, strict=True):
        if one.id in pinned:
            told["pinned"] = True
    return shown


def forget(context: Context, args: Arguments) -> Answer:
    """Take entries out of every search; restore brings them back."""
    entries, notes = forms.those(context, args["ids"])
    ids = [entry.id for entry in entries]
    with context.store.changes.recorded("forget", ids):
        gone = set(context.store.entries.forget(ids))
    answer = {
        "forgotten": [forms.show_id(e.collection, e.id) for e in entries if e.id in gone],
        "not_live": [forms.show_id(e.collection, e.id) for e in entries if e.id not in gone],
    }
    return forms.noted(answer, notes)


def restore(context: Context, args: Arguments) -> Answer:
    """Bring forgotten entries back."""
    entries, notes = forms.those(context, args["ids"])
    ids = [entry.id for entry in entries]
    with context.store.changes.recorded("restore", ids):
        back = set(context.store.entries.restore(ids))
    answer = {
        "restored": [forms.show_id(e.collection, e.id) for e in entries if e.id in back],
        "unchanged": [forms.show_id(e.collection, e.id) for e in entries if e.id not in back],
    }
    return forms.noted(answer, notes)


def _replaceable(context: Context, args: Arguments) -> Entry:
    """Return the memory that is to be replaced; raises InvalidInput if that cannot be."""
    (old,) = forms.allowed(context, forms.existing(context.store, [args["id"]]))
    if old.collection != "memory":
        raise InvalidInput(
            f"{args['id']} is learned knowledge, not a memory.",
            hint="Learn the corrected document instead, and forget this entry.",
        )
    if not old.live:
        raise InvalidInput(
            f"{args['id']} is no longer live: it was forgotten or superseded.",
            hint="memory_get shows what became of it; supersede its successor.",
        )
    return old


def supersede(context: Context, args: Arguments) -> Answer:
    """Put a corrected memory in the place of one that has become wrong."""
    old = _replaceable(context, args)
    place = succession.Place(old.namespace, old.project)
    entry = _new_entry(context, args, place, [old])
    asked = changing.asked(context, {"about": args.get("about", ())})
    (vector,) = ingest.embed(context, [entry])
    model_id = context.embedder.model_id if vector and context.embedder else None
    with context.store.changes.recorded("supersede", [old.id], [entry]):
        added = context.store.entries.supersede(old.id, entry, vector, model_id)
        about = changing.about(context, added, [old], asked.about, args)
    usage.corrected(context, old.id, added.id)
    usage.used(context, usage.cited(entry.content), "cited")
    answer = {**_stored(added), "supersedes": args["id"], **about}
    return forms.noted(answer, _notes(context, args, entry, [old]))


PACK = Pack(
    "memory",
    "What agents remember.",
    (
        Verb(
            "memory.remember",
            "Store one fact for all later sessions.",
            remember,
            {
                "content": _CONTENT,
                "title": _TITLE,
                "tags": forms.TAGS,
                "kind": _KIND,
                "salience": _SALIENCE,
                "decay": _DECAY,
                "source": _SOURCE,
                "namespace": forms.NAMESPACE,
                "everywhere": belonging.EVERYWHERE,
                **changing.ARGUMENTS,
            },
            ("content",),
            output=answers.STORED,
            description="Call it when something was decided (with its reason), preferred, fixed "
            "with effort, or found. What is known already is recognised; secrets are refused.",
            idempotent=True,
            tool=True,
            rare=frozenset(
                ("salience", "decay", "source", "namespace", "valid_from", "valid_until")
            ),
            in_batch=True,
            may_wait=True,
            audience=Audience.AGENT,
        ),
        Verb(
            "memory.recall",
            "Find what earlier sessions remembered, by words and by meaning.",
            recall,
            {
                **answers.QUERY,
                "in": _IN,
                **forms.FILTERS,
                "project": PROJECT,
                **forms.STORED_BY,
                "pinned": forms.PINNED,
                **recalling.ARGUMENTS,
            },
            ("query",),
            output=answers.FOUND,
            as_text=result_lines.found_text,
            description="Call it at the start of a task, at an error, before a decision. "
            "No results: nothing fits.",
            read_only=True,
            quick=True,
            tool=True,
            rare=frozenset(
                (
                    "floor",
                    "explain",
                    "namespace",
                    "project",
                    "source",
                    "pinned",
                    "kind",
                    "until",
                    "as_of",
                    "follow",
                )
            ).union(forms.STORED_BY),
            audience=Audience.AGENT,
        ),
        Verb(
            "memory.get",
            "Read entries in full by their ids.",
            get,
            {"ids": forms.IDS},
            ("ids",),
            as_text=result_lines.entries_text,
            description="Call it when a result was cut, or to see who stored it and when.",
            read_only=True,
            quick=True,
            tool=True,
            in_batch=True,
            audience=Audience.AGENT,
        ),
        Verb(
            "memory.forget",
            "Take entries out of every search.",
            forget,
            {"ids": forms.IDS},
            ("ids",),
            description="Call it for what is of no use any more. Nothing is destroyed: "
            "memory.undo or memory.restore brings them back.",
            idempotent=True,
            tool=True,
            in_batch=True,
            may_wait=True,
            audience=Audience.AGENT,
        ),
        Verb(
            "memory.restore",
            "Bring forgotten entries back.",
            restore,
            {"ids": forms.IDS},
            ("ids",),
            idempotent=True,
            in_batch=True,
            may_wait=True,
            audience=Audience.AGENT,
        ),
        Verb(
            "memory.supersede",
            "Replace a memory that has become wrong by a correct one.",
            supersede,
            {
                "id": forms.ID,
                "content": _CONTENT,
                "title": _TITLE,
                "tags": forms.TAGS,
                "kind": _KIND,
                "salience": _SALIENCE,
                "decay": _DECAY,
                "source": _SOURCE,
                **{name: changing.ARGUMENTS[name] for name in _CORRECTED},
            },
            ("id", "content"),
            output=answers.STORED,
            description="Call it when you see that a memory is outdated. What you do not mention "
            "stays. The old one is kept, points to its successor, and is no longer found; "
            "memory.undo takes that back.",
            tool=True,
            rare=frozenset(("kind", "salience", "decay", "source", *_CORRECTED)),
            in_batch=True,
            may_wait=True,
            audience=Audience.AGENT,
        ),
        LEARN_COMMITS,
        TIDY,
    ),
    consumer_kinds=("recall",),
)
