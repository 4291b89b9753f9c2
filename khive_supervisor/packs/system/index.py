"""The index pack: the state of the vector index, and how to build and check it."""

from __future__ import annotations

from khive_supervisor.access.grant import Audience
from khive_supervisor.errors import IndexFileError, NotFound
from khive_supervisor.index.vectors.generation import Generations
from khive_supervisor.verbs import forms
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Answer, Arguments, Pack, Verb


def status(context: Context, _args: Arguments) -> Answer:
    """Return the generation in force, and what is newer than it."""
    if context.embedder is None:
        return {"state": "off", "why": 'embedder.kind is "none": search is full text only'}
    model_id = context.embedder.model_id
    vectors = context.store.vectors.stats(model_id)
    generation = context.store.generations.current(model_id)
    state: dict[str, object] = {
        "state": "none yet" if generation is None else "in use",
        "model": model_id,
        "vectors": vectors.vectors,
        "waiting_to_be_embedded": vectors.missing,
        "vectors_of_other_models": vectors.other_models,
    }
    if generation is not None:
        names = ("generation", "file", "bytes", "items", "trees")
        state |= {name: getattr(generation, name) for name in names}
        state["built_at"] = forms.timestamp(generation.created_at)
    covered = generation.items if generation else 0
    state["newer_than_the_index"] = max(0, vectors.vectors - covered)
    return state


def build(context: Context, _args: Arguments) -> Answer:
    """Have the supervisor build a new generation now."""
    return context.ask_supervisor("index.build")


def verify(context: Context, _args: Arguments) -> Answer:
    """Compare the current generation's file with its checksum."""
    if context.embedder is None:
        raise NotFound("There is no embedder, and so no index.")
    generation = context.store.generations.current(context.embedder.model_id)
    if generation is None:
        raise NotFound(
            "There is no generation yet.",
            hint="It is built when there are enough entries, or with `index build`.",
        )
    try:
        Generations(context.store.path).verify(generation)
    except IndexFileError as error:
        context.ask_supervisor("index.damaged", {"error": str(error)})
        return {"generation": generation.generation, "ok": False, "problem": str(error)}
    return {"generation": generation.generation, "ok": True, "bytes": generation.bytes}


PACK = Pack(
    "index",
    "The vector index.",
    (
        Verb("index.status", "Show the index's generation and what is newer.", status,
             read_only=True,
             audience=Audience.AGENT, shared=True),
        Verb("index.build", "Build a new index generation now.", build, idempotent=True,
             audience=Audience.OPERATOR, shared=True,
             because="it takes the machine's time, and the supervisor builds when it is worth it"),
        Verb("index.verify", "Check the index file against its checksum.", verify,
             read_only=True,
             audience=Audience.AGENT, shared=True),
    ),
)  # fmt: skip
