"""The system pack: how the supervisor and the store are doing."""

from __future__ import annotations

from khive_supervisor import __version__
from khive_supervisor.access.grant import Audience
from khive_supervisor.catalogue.document import PARTS, outline, released
from khive_supervisor.errors import NotRunning, Unresponsive
from khive_supervisor.packs.system import audit
from khive_supervisor.store.model import EntryFilter
from khive_supervisor.verbs import schema
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Answer, Arguments, Pack, Verb

#: What entries are counted by.
COLLECTIONS = ("memory", "knowledge")


def status(context: Context, _args: Arguments) -> Answer:
    """Return the session, the store in numbers, and the supervisor if there is one."""
    try:
        supervisor = context.ask_supervisor("status")
    except NotRunning as error:
        supervisor = {"state": "not running", "why": str(error)}
    except Unresponsive as error:
        supervisor = {"state": "hung", "why": str(error)}
    return {
        "version": __version__,
        "session": _session(context),
        "store": _namespace(context) if context.grant.confined else _store(context),
        "supervisor": supervisor,
    }


def _session(context: Context) -> Answer:
    shown: dict[str, object] = {
        "id": context.session.id,
        "namespace": context.default_namespace,
        "cwd": context.session.cwd,
        "audience": context.grant.audience.value,
    }
    if context.grant.confined:
        shown["confined_to"] = list(context.grant.namespaces or ())
    return shown


def _store(context: Context) -> Answer:
    """The store in numbers. All namespaces are an operator's to list; an agent sees its own."""
    stats = context.store.stats()
    own = context.default_namespace
    return {
        "path": context.store.path,
        "entries": dict(stats.live),
        "namespaces": {
            name: count
            for name, count in stats.namespaces.items()
            if context.grant.operator or name == own
        },
        "forgotten": stats.deleted,
        "superseded": stats.superseded,
        "bytes": stats.file_bytes,
    }


def _namespace(context: Context) -> Answer:
    """Return what there is for a confined session: the numbers of its namespace alone."""
    own = context.default_namespace
    counts = {
        collection: context.store.entries.live_count(EntryFilter(collection, (own,)))
        for collection in COLLECTIONS
    }
    return {"entries": counts, "namespaces": {own: sum(counts.values())}}


def catalog(_context: Context, args: Arguments) -> Answer:
    """Return the outline of the catalogue, or one part of it whole."""
    document = released()
    if (part := args.get("part")) is None:
        return outline(document)
    return {"version": document["version"], part: document[part]}


PACK = Pack(
    "system",
    "The supervisor and the store.",
    (
        Verb(
            "system.status",
            "Show how the memory, its index and the supervisor are doing.",
            status,
            read_only=True,
            audience=Audience.AGENT,
        ),
        Verb(
            "system.audit",
            "List what was done to tasks, profiles and the configuration, and by whom.",
            audit.audit,
            audit.PROPERTIES,
            read_only=True,
            audience=Audience.OPERATOR,
            shared=True,
            because="it tells what everybody has done",
        ),
        Verb(
            "system.catalog",
            "List all that is declared: verbs, settings, commands, routes, metrics, events.",
            catalog,
            {
                "part": schema.text(
                    "All of this part, with its schemas; without, an outline of all parts.",
                    choices=tuple(PARTS),
                )
            },
            read_only=True,
            idempotent=True,
            audience=Audience.AGENT,
        ),
    ),
)
