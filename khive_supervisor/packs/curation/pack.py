"""The curation pack: what is in the memory, what of it is pinned, and what was changed."""

from __future__ import annotations

from khive_supervisor.access.grant import Audience
from khive_supervisor.packs.curation import changing, listing, moving
from khive_supervisor.packs.curation.pruning import PRUNE
from khive_supervisor.packs.curation.purging import PURGE
from khive_supervisor.verbs import forms, result_lines, schema
from khive_supervisor.verbs.registry import Pack, Verb

_DRY_RUN = schema.flag("Only tell what would be done.")

PACK = Pack(
    "curation",
    "What is in the memory, and what was changed in it.",
    (
        Verb(
            "memory.list",
            "List entries by their properties, page by page.",
            listing.page,
            listing.PAGE,
            as_text=result_lines.listed_text,
            description="Pinned entries are first, then the newest.",
            read_only=True,
            quick=True,
            in_batch=True,
            audience=Audience.AGENT,
        ),
        Verb(
            "memory.tags",
            "List the tags of live entries with their counts.",
            listing.tags,
            {**listing.WHICH, "limit": schema.whole("How many tags at most (500).", least=1)},
            read_only=True,
            in_batch=True,
            audience=Audience.AGENT,
        ),
        Verb(
            "memory.stats",
            "Count what is stored by its properties, and show how large the files are.",
            listing.stats,
            {"namespace": listing.WHICH["namespace"]},
            read_only=True,
            audience=Audience.AGENT,
        ),
        Verb(
            "memory.pin",
            "Pin entries, so that they are first in lists, or let go of them.",
            changing.pin,
            {"ids": forms.IDS, "pinned": schema.flag("false lets go of them (true).")},
            ("ids",),
            description="Pins do not change how a search ranks.",
            idempotent=True,
            in_batch=True,
            may_wait=True,
            audience=Audience.AGENT,
        ),
        Verb(
            "memory.forget_matching",
            "Take what a filter lets through out of every search.",
            changing.forget_matching,
            {**listing.WHICH, "dry_run": schema.flag("Only tell what would be forgotten (true).")},
            description="memory.undo takes it back.",
            destructive=True,
            in_batch=True,
            audience=Audience.AGENT,
        ),
        PRUNE,
        PURGE,
        Verb(
            "memory.changes",
            "List what was done to entries of late, and what was undone.",
            changing.changes,
            {"limit": schema.whole("How many at most (20).", least=1, most=200)},
            read_only=True,
            in_batch=True,
            audience=Audience.AGENT,
        ),
        Verb(
            "memory.undo",
            "Undo the last change: what was stored, forgotten, superseded, pinned or moved.",
            changing.undo,
            {"dry_run": _DRY_RUN},
            description="An agent undoes what its own session did; a person what anybody changed, "
            "but of what was stored only their own. Imports are changes, too, and so are merging "
            "and renaming projects; what was learned from documents stays. It is refused when "
            "something was done to the same entries since.",
            destructive=True,
            audience=Audience.AGENT,
        ),
        Verb(
            "memory.export_records",
            "Return the store as records, a page at a time.",
            moving.export_records,
            moving.EXPORT,
            ("section",),
            description="For programs; `khive-supervisor export` writes a file.",
            read_only=True,
            audience=Audience.OPERATOR,
            shared=True,
            because="it tells what all namespaces hold",
        ),
        Verb(
            "memory.import_records",
            "Store records of another store, in one transaction.",
            moving.import_records,
            moving.IMPORT,
            ("store", "records"),
            description="For programs; `khive-supervisor import` reads a file.",
            idempotent=True,
            audience=Audience.OPERATOR,
            shared=True,
            because="it writes into any namespace, with any date",
        ),
    ),
)
