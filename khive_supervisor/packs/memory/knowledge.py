"""The knowledge pack: documents that were learned, and what is worth reading of them."""

from __future__ import annotations

from collections.abc import Sequence

from khive_supervisor.access.grant import Audience
from khive_supervisor.packs.memory import listed, sources
from khive_supervisor.packs.memory.projects import PROJECT, entry_filter
from khive_supervisor.packs.truth.beside import with_beside
from khive_supervisor.store.model import LearnedText, Piece, SourceText
from khive_supervisor.verbs import answers, belonging, forms, ingest, result_lines, schema, serving
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Answer, Arguments, Pack, Verb

#: Entries that one call may learn; a client sends more in several calls.
LEARN_LIMIT = 500
#: Entries that are embedded and committed together: work is never lost for more than these.
BATCH = 64
#: What of a source's earlier text the entries of a call take the place of.
REPLACES = {"same title": "title", "all": "source", "nothing": "nothing"}


#: What an agent is told that may not have meant to replace anything.
_RETIRED = (
    "What was retired is of the same source, and was not repeated. If it still holds: "
    'memory.restore, and replaces = "nothing" for what adds to a source.'
)


def learn(context: Context, args: Arguments) -> Answer:
    """Store many documents; what is there already is skipped, what they replace is retired."""
    namespace = context.namespace(args.get("namespace"))
    at = sources.LearnedAt.of(context, args, namespace)
    pieces = [
        sources.new_piece(context, item, f"entries.{number}", at)
        for number, item in enumerate(args["entries"])
    ]
    replaces = REPLACES[args.get("replaces", "same title")]
    run = context.store.sources.begin_run()
    said: list[LearnedText] = []
    ids: dict[int, int] = {}
    for start in range(0, len(pieces), BATCH):
        end = min(start + BATCH, len(pieces))
        texts = _texts(pieces, range(start, end), run, replaces, at.everywhere)
        said += ingest.say(context, [text for text, _ in texts])
        for (_, numbers), one in zip(texts, said[-len(texts) :], strict=True):
            ids |= zip(numbers, one.ids, strict=True)
        context.progress(end, len(pieces), "entries learned")
    return _learned(namespace, said, [ids[number] for number in range(len(pieces))])


def _texts(
    pieces: Sequence[Piece], batch: range, run: int, replaces: str, everywhere: bool
) -> list[tuple[SourceText, list[int]]]:
    """What each source says in a batch, and by which of the pieces; more of it may follow."""
    by_source: dict[str, list[int]] = {}
    for number in batch:
        by_source.setdefault(pieces[number].entry.source or "", []).append(number)
    later = {piece.entry.source or "" for piece in pieces[batch.stop :]}

    def text(name: str, numbers: list[int]) -> SourceText:
        said = tuple(pieces[number] for number in numbers)
        namespace, kept = said[0].entry.namespace, replaces if name else "nothing"
        project, more = said[0].entry.project, name in later
        return SourceText(
            namespace, name, said, run, more=more, replaces=kept, project=project,
            everywhere=everywhere,
        )  # fmt: skip

    return [(text(name, numbers), numbers) for name, numbers in by_source.items()]


def _learned(namespace: str, said: Sequence[LearnedText], ids: Sequence[int]) -> Answer:
    retired = [entry for one in said for entry in one.retired]
    answer: dict[str, object] = {
        "stored": sum(one.stored for one in said),
        "restored": sum(one.restored for one in said),
        "already_known": sum(one.known for one in said),
        "ids": [forms.show_id("knowledge", one) for one in ids],
        "namespace": namespace,
    }
    if retired:
        answer["retired"] = [forms.show_id("knowledge", one) for one in retired]
        answer["notes"] = [_RETIRED]
    return answer


def search(context: Context, args: Arguments) -> Answer:
    """Find learned documents (and memories, if asked) by words and by meaning."""
    collection = {"knowledge": "knowledge", "memory": "memory", "all": None}[
        args.get("in", "knowledge")
    ]
    where = entry_filter(context, args, collection)
    if listed.asks_for_nothing(args):
        return listed.newest(context, args, where, serving.SEARCH)
    arrange = with_beside(answers.as_found, args, where)
    return answers.search(context, args, where, serving.SEARCH, arrange)


def suggest(context: Context, args: Arguments) -> Answer:
    """Return what is worth reading for a task: ids and a line each, of memories and documents."""
    where = entry_filter(context, args, None)
    limit = args.get("limit", answers.DEFAULT_LIMIT)
    answer, served_by = serving.serve(
        context, args["task"], where, serving.SEARCH, limit=limit, floor=args.get("floor")
    )
    suggestions = [
        {
            "id": forms.show_id(hit.entry.collection, hit.entry.id),
            "line": forms.line(hit.entry),
            "why": hit.why,
        }
        for hit in answer.hits
    ]
    shown: dict[str, object] = {"suggestions": suggestions, "served_by": served_by}
    if suggestions:
        shown["next"] = "memory_get with the ids that look useful"
    notes = answers.notes_of(answer) + answers.age_notes(context.whole_store.unheard())
    if notes:
        shown["notes"] = notes
    return shown


PACK = Pack(
    "knowledge",
    "Documents that were learned.",
    (
        Verb(
            "knowledge.learn",
            "Store documents, many at once.",
            learn,
            {
                "entries": schema.array(
                    sources.ENTRY,
                    "The documents; what is there already is skipped.",
                    fewest=1,
                    most=LEARN_LIMIT,
                ),
                "replaces": schema.text(
                    "What these entries take the place of: what their source said "
                    "before under the same title (the default), all that it said, or nothing.",
                    choices=REPLACES,
                ),
                "namespace": forms.NAMESPACE,
                "everywhere": belonging.EVERYWHERE,
            },
            ("entries",),
            description="A source has one living text: what it said before under the same title "
            "and is not repeated is retired. For files and folders, `khive-supervisor learn PATH` "
            "splits and resumes.",
            idempotent=True,
            audience=Audience.AGENT,
        ),
        Verb(
            "knowledge.search",
            "Search the learned documents by words and by meaning.",
            search,
            {
                **answers.QUERY,
                **forms.FILTERS,
                "project": PROJECT,
                **forms.STORED_BY,
                "pinned": forms.PINNED,
                "in": schema.text(
                    "What to search (knowledge).", choices=("knowledge", "memory", "all")
                ),
            },
            ("query",),
            output=answers.FOUND,
            as_text=result_lines.found_text,
            read_only=True,
            quick=True,
            audience=Audience.AGENT,
        ),
        Verb(
            "knowledge.suggest",
            "Name what is worth reading for a task, in a few lines.",
            suggest,
            {
                "task": schema.text("What you are about to do."),
                "limit": forms.LIMIT,
                "floor": answers.FLOOR,
                **forms.FILTERS,
                "project": PROJECT,
                **forms.STORED_BY,
                "pinned": forms.PINNED,
            },
            ("task",),
            description="Memories and documents, as ids and headlines: cheap to ask, at the start "
            "of a task.",
            read_only=True,
            quick=True,
            audience=Audience.AGENT,
        ),
        *sources.VERBS,
    ),
    consumer_kinds=("search",),
)  # fmt: skip
