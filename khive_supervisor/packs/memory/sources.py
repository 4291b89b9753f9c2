"""Sources: what `khive-supervisor learn` says of files, whole texts at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator

from khive_supervisor.access.grant import Audience
from khive_supervisor.errors import InvalidInput
from khive_supervisor.store.model import (
    How,
    KnownSource,
    LearnedText,
    NewEntry,
    Piece,
    Provenance,
    SourceText,
)
from khive_supervisor.text.plain_json import JsonObject
from khive_supervisor.verbs import belonging, forms, ingest, schema
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Answer, Arguments, Verb

#: Sources that one call may say, ask for or retire.
SOURCES_LIMIT = 1000
#: Entries of one call.
ENTRIES_LIMIT = 1000
#: Documents do not fade: what is outdated is learned anew.
SALIENCE, DECAY = 0.5, 0.0
#: Entries that an answer names of those that came or went with a source; the rest is counted.
NAMED = 20

ENTRY: JsonObject = {
    "type": "object",
    "properties": {
        "content": schema.text("The text."),
        "title": schema.text("Its headline.", longest=300),
        "tags": forms.TAGS,
        "kind": schema.text("document", pattern=forms.KIND_PATTERN),
        "source": schema.text("A path or address.", longest=4096),
    },
    "required": ["content"],
    "additionalProperties": False,
}
_LOCATED = {
    **ENTRY,
    "properties": {**ENTRY["properties"], "locator": schema.text(longest=100)},
}
_VALID = Draft202012Validator(_LOCATED)
_NAME = schema.text(shortest=1, longest=4096)
_DIGEST = schema.text(pattern="^[0-9a-f]{32}$")


@dataclass(frozen=True, slots=True)
class LearnedAt:
    """What all entries of one call have in common: whose they are, and who brought them."""

    namespace: str
    project: int | None
    branch: str | None
    commit: str | None
    provenance: Provenance
    everywhere: bool

    @classmethod
    def of(cls, context: Context, args: Arguments, namespace: str) -> LearnedAt:
        """Return it for a call; a project that is new is stored."""
        project = belonging.to_store(context, args)
        branch, commit = belonging.checked_out(context, project)
        provenance = belonging.provenance(context, How.LEARNED)
        everywhere = bool(args.get("everywhere"))
        return cls(namespace, project, branch, commit, provenance, everywhere)


def new_piece(context: Context, item: Mapping[str, Any], where: str, at: LearnedAt) -> Piece:
    """Return an entry that was learned, if it can be stored; raises InvalidInput otherwise."""
    entry = NewEntry(
        collection="knowledge",
        namespace=at.namespace,
        kind=item.get("kind", "document"),
        title=ingest.check_text(item.get("title", ""), f"{where}.title"),
        content=ingest.check_content(context, item["content"], f"{where}.content"),
        tags=tuple(ingest.check_text(tag, f"{where}.tags") for tag in item.get("tags", ())),
        salience=SALIENCE,
        decay=DECAY,
        source=ingest.check_text(item["source"], f"{where}.source") if "source" in item else None,
        project=at.project,
        branch=at.branch,
        commit=at.commit,
        provenance=at.provenance,
    )
    return Piece(entry, item.get("locator", ""), item.get("kind"))


class _Undone(Exception):
    """Ends a transaction whose work was only to be seen."""


@contextmanager
def _perhaps(context: Context, dry_run: bool) -> Iterator[None]:
    """All that is written inside is taken back if it was only to be seen."""
    if not dry_run:
        yield
        return
    try:
        with context.store.transaction():
            yield
            raise _Undone
    except _Undone:
        return


def sync(context: Context, args: Arguments) -> Answer:
    """Say all that sources say: what is new is stored, what they no longer say is retired."""
    namespace = context.namespace(args.get("namespace"))
    if sum(len(source["entries"]) for source in args["sources"]) > ENTRIES_LIMIT:
        raise InvalidInput(
            f"One call has at most {ENTRIES_LIMIT} entries.",
            hint="Send them in several, with more = true for all but the last of a source.",
        )
    refused: list[dict[str, str]] = []
    dry_run = bool(args.get("dry_run"))
    run = _run(context, args.get("run"))
    with _perhaps(context, dry_run):
        at = LearnedAt.of(context, args, namespace)
        texts = [_text(context, source, run, at, refused) for source in args["sources"]]
        said = (
            [context.store.sources.say(t) for t in texts] if dry_run else ingest.say(context, texts)
        )
        changes = [_change(context, t, s) for t, s in zip(texts, said, strict=True)]
    return {
        "stored": sum(one.stored for one in said),
        "restored": sum(one.restored for one in said),
        "already_known": sum(one.known for one in said),
        "retired": sum(len(one.retired) for one in said),
        "changes": [change for change in changes if change],
        "refused": refused,
        "run": run,
        "namespace": namespace,
    }


def _run(context: Context, given: int | None) -> int:
    """Return the number of a reading; one of the future would end all readings of its sources."""
    if given is None:
        return context.store.sources.begin_run()
    if given > context.store.sources.last_run():
        raise InvalidInput(
            f"There is no reading {given}.",
            hint="Leave run out of the first call; its answer has the number for the others.",
        )
    return given


def _text(
    context: Context,
    source: Mapping[str, Any],
    run: int,
    at: LearnedAt,
    refused: list[dict[str, str]],
) -> SourceText:
    """Return what is said of one source; entries that cannot be stored are refused one by one."""
    name = ingest.check_text(source["source"], "source")
    pieces, whole = [], True
    for item in source["entries"]:
        try:
            pieces.append(_checked(context, {"source": name, **item}, at))
        except InvalidInput as error:
            whole = False
            where = str(item.get("locator", ""))[:100]
            refused.append({"source": name, "locator": where, "why": error.message[:400]})
    digest = bytes.fromhex(source["digest"]) if whole and "digest" in source else None
    return SourceText(
        at.namespace,
        name,
        tuple(pieces),
        run,
        more=bool(source.get("more")),
        latest=True,
        replaces="nothing" if source.get("partial") else "source",
        instead_of=tuple(source.get("instead_of", ())),
        digest=digest,
        root=source.get("root"),
        options=source.get("options", ""),
        project=at.project,
        everywhere=at.everywhere,
    )


def _checked(context: Context, item: Mapping[str, Any], at: LearnedAt) -> Piece:
    problem = next(_VALID.iter_errors(item), None)
    if problem is not None:
        where = ".".join(str(part) for part in problem.absolute_path)
        said = "is longer than allowed" if problem.validator in ("maxLength", "maxItems") else ""
        raise InvalidInput(f"{where}: {said or problem.message[:200]}")
    return new_piece(context, item, "entry", at)


def _change(context: Context, text: SourceText, said: LearnedText) -> Answer:
    """Return what has changed of a source, in a few lines; nothing if nothing has."""
    if not (said.stored or said.restored or said.retired or text.instead_of):
        return {}
    return {
        "source": text.name,
        "stored": said.stored,
        "restored": said.restored,
        "retired": len(said.retired),
        "gone": _lines(context, said.retired),
        **({"instead_of": list(text.instead_of)} if text.instead_of else {}),
    }


def _lines(context: Context, ids: Iterable[int]) -> list[str]:
    shown = context.store.entries.get(list(ids)[:NAMED])
    return [f"{forms.show_id(one.collection, one.id)}: {forms.line(one)}" for one in shown]


def sources(context: Context, args: Arguments) -> Answer:
    """Return which sources are known, and by which digest."""
    namespace = context.namespace(args.get("namespace"))
    store = context.store
    limit = args.get("limit", SOURCES_LIMIT)
    found: list[KnownSource] = []
    if "below" in args:
        found += store.sources.below(namespace, args["below"], args.get("after", ""), limit)
    if "names" in args:
        found += store.sources.named(namespace, args["names"], _own_project(context))
    if "digests" in args:
        found += store.sources.with_digests(
            namespace, [bytes.fromhex(one) for one in args["digests"]]
        )
    return {"sources": [_shown(one) for one in found], "namespace": namespace}


def _own_project(context: Context) -> int | None:
    """Return the session's project, whose sources may have names that others have as well."""
    family = context.project
    return family.ids[0] if family is not None else None


def _shown(one: KnownSource) -> Answer:
    return {
        "source": one.name,
        "digest": one.digest.hex() if one.digest else None,
        "root": one.root,
        "options": one.options,
        "entries": one.entries,
        "live": one.live,
    }


def retire(context: Context, args: Arguments) -> Answer:
    """Take out of every search what only these sources said."""
    namespace = context.namespace(args.get("namespace"))
    changes = []
    retired = 0
    project = _own_project(context)
    with _perhaps(context, bool(args.get("dry_run"))), context.store.transaction():
        for name in args["sources"]:
            gone = context.store.sources.end(namespace, [name], project)
            retired += len(gone)
            changes.append({"source": name, "retired": len(gone), "gone": _lines(context, gone)})
    return {"retired": retired, "changes": changes, "namespace": namespace}


_DRY_RUN = schema.flag("Say what would change, and change nothing.")

VERBS = (
    Verb(
        "knowledge.sync",
        "Say all that sources say: what they no longer say is retired.",
        sync,
        {
            "run": schema.whole(
                "The number of this reading of the sources, as the first call of it "
                "was answered; without, another one begins.",
                least=1,
                most=2**53,
            ),
            "sources": schema.array(
                {
                    "type": "object",
                    "properties": {
                        "source": _NAME,
                        "entries": schema.array(schema.record()),
                        "more": schema.flag(),
                        "partial": schema.flag(),
                        "instead_of": schema.array(_NAME, most=100),
                        "digest": _DIGEST,
                        "root": _NAME,
                        "options": schema.text(longest=8192),
                    },
                    "required": ["source", "entries"],
                    "additionalProperties": False,
                },
                "Each with its entries. more: others follow in a later call. "
                "partial: not all could be read, so nothing is retired. instead_of: sources that "
                "it has taken the place of. digest, root, options: told by knowledge.sources.",
                most=SOURCES_LIMIT,
            ),
            "dry_run": _DRY_RUN,
            "namespace": forms.NAMESPACE,
            "everywhere": belonging.EVERYWHERE,
        },
        ("sources",),
        description="For programs that learn files; `khive-supervisor learn` does it.",
        idempotent=True,
        audience=Audience.AGENT,
    ),
    Verb(
        "knowledge.sources",
        "List sources that were learned: those of a folder, of names, or of digests.",
        sources,
        {
            "below": {**_NAME, "description": "A folder: the files in it, by name."},
            "after": {**_NAME, "description": "With below: go on after this name."},
            "limit": schema.whole(
                f"With below: how many at most ({SOURCES_LIMIT}).", least=1, most=SOURCES_LIMIT
            ),
            "names": schema.array(_NAME, "These sources.", most=SOURCES_LIMIT),
            "digests": schema.array(
                _DIGEST, "Sources whose whole text has one of these digests.", most=SOURCES_LIMIT
            ),
            "namespace": forms.NAMESPACE,
        },
        read_only=True,
        audience=Audience.AGENT,
    ),
    Verb(
        "knowledge.retire",
        "Take out of every search what only these sources say.",
        retire,
        {
            "sources": schema.array(
                _NAME, "Names, as knowledge.sources tells them.", fewest=1, most=SOURCES_LIMIT
            ),
            "dry_run": _DRY_RUN,
            "namespace": forms.NAMESPACE,
        },
        ("sources",),
        description="For files that were deleted. memory.restore brings entries back.",
        destructive=True,
        idempotent=True,
        audience=Audience.AGENT,
    ),
)  # fmt: skip
