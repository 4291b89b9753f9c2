"""Several calls in one transaction: all of them are done, or none."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypedDict

import numpy as np

from khive_supervisor import logs
from khive_supervisor.embed.base import Embedder, Vectors
from khive_supervisor.errors import EmbedderUnavailable, InvalidInput, KhiveError
from khive_supervisor.packs.batch.references import resolved
from khive_supervisor.packs.truth import changing
from khive_supervisor.store.vectors import MissingVector
from khive_supervisor.verbs import forms
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Answer, Arguments

log = logs.get("khive.batch")

#: Calls of a batch, and seconds that it may take: nobody else can write meanwhile.
MOST, SECONDS = 100, 5.0
#: Verbs whose texts are embedded, by the arguments that make them up.
_EMBEDDED = ("memory.remember", "memory.supersede")


class BatchCall(TypedDict):
    """One call: its verb, under the name that the registry has, and its arguments."""

    verb: str
    args: dict[str, Any]


def run(context: Context, args: Arguments) -> Answer:
    """Run calls in order; the first that fails has nothing of any of them done."""
    calls = _checked(context, args["calls"])
    prepared = PreparedEmbedder.of(context, calls)
    hints: list[Mapping[str, object]] = []
    with context.within_batch(prepared, hints.append), context.store.transaction():
        known = _known(context, args)
        if known is not None:
            return known
        answers = _all(context, calls, time.monotonic)
        _note(context, args, answers)
    for hint in hints:
        context.hint(hint)
    _relate(context, calls, answers)
    return {"results": answers, "done": len(answers)}


def _checked(context: Context, given: Sequence[Mapping[str, Any]]) -> list[BatchCall]:
    """Return the calls, each to a verb that whoever asks has and that can be one of a batch."""
    calls = []
    for number, one in enumerate(given, 1):
        with _numbered(number, str(one.get("verb", ""))):
            if not isinstance(one.get("verb"), str) or one.keys() - {"verb", "args"}:
                raise InvalidInput(
                    "It is no call.", hint='A call is {"verb": "memory.get", "args": {...}}.'
                )
            args = one.get("args", {})
            if not isinstance(args, dict):
                raise InvalidInput("Its args are no object.")
            name = context.registry.checked_for_batch(one["verb"], context.grant)
            calls.append(BatchCall(verb=name, args=args))
    return calls


def _all(context: Context, calls: Sequence[BatchCall], clock: Callable[[], float]) -> list[Any]:
    end = clock() + SECONDS
    answers: list[dict[str, Any]] = []
    for number, one in enumerate(calls, 1):
        with _numbered(number, one["verb"]):
            if clock() > end:
                raise InvalidInput(
                    f"The batch has taken more than {SECONDS:g} s.", hint="Make it two."
                )
            args = resolved(one["args"], answers)
            answers.append(dict(context.registry.call(context, one["verb"], args)))
    return answers


@contextmanager
def _numbered(number: int, verb: str) -> Iterator[None]:
    """Have an error say which call it is of, and that nothing was done."""
    try:
        yield
    except KhiveError as error:
        said = f"Call {number} ({verb[:80]}): {error.message} Nothing of the batch was done."
        error.message = said
        error.args = (said, *error.args[1:])
        raise


# --- one and the same batch ---------------------------------------------------------------------


def _digest(args: Arguments) -> bytes:
    text = json.dumps(args["calls"], sort_keys=True, ensure_ascii=False)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _known(context: Context, args: Arguments) -> Answer | None:
    """Return what is known of a batch with this key, if it was done already."""
    if "key" not in args:
        return None
    found = context.store.batches.find(context.default_namespace, args["key"])
    if found is None:
        return None
    if found.digest != _digest(args):
        raise InvalidInput(
            f"The key {args['key'][:80]!r} belongs to a batch of other calls.",
            hint="Give another key, or none.",
        )
    return {
        "done": len(found.ids), "repeated": True, "at": forms.timestamp(found.at),
        "results": [{"id": one} if one else {} for one in found.ids],
    }  # fmt: skip


def _note(context: Context, args: Arguments, answers: Sequence[Mapping[str, Any]]) -> None:
    if "key" in args:
        ids = [str(one.get("id") or one.get("task") or "") for one in answers]
        namespace = context.default_namespace
        context.store.batches.note(namespace, args["key"], _digest(args), ids)


# --- what is done before and after, so that nobody waits for it with the store locked -----------


class PreparedEmbedder(Embedder):
    """Vectors of texts that are known before the store is locked; no others can be had."""

    def __init__(self, embedder: Embedder, vectors: Mapping[str, Any]) -> None:
        self._vectors = vectors
        self._model_id = embedder.model_id
        self._dimensions = embedder.dimensions

    @property
    def model_id(self) -> str:
        """Return the model of the embedder whose vectors these are."""
        return self._model_id

    @property
    def dimensions(self) -> int:
        """Return how many numbers a vector has."""
        return self._dimensions

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return vectors of texts that were embedded before; raises EmbedderUnavailable."""
        try:
            rows = [self._vectors[text] for text in texts]
        except KeyError:
            raise EmbedderUnavailable("A batch embeds nothing while it holds the store.") from None
        found: Vectors = np.array(rows, np.float32).reshape(len(rows), self._dimensions)
        return found

    @classmethod
    def of(cls, context: Context, calls: Sequence[BatchCall]) -> Embedder | None:
        """Return the vectors of what is going to be stored, as far as it is said in the calls.

        What is not, or changes at the gate of texts, is embedded later, as after any outage.
        """
        embedder = context.embedder
        if embedder is None:
            return None
        texts = [text for one in calls if one["verb"] in _EMBEDDED for text in _text(one["args"])]
        try:
            vectors = embedder.embed(texts) if texts else ()
        except EmbedderUnavailable:
            texts, vectors = [], ()
        return cls(embedder, dict(zip(texts, vectors, strict=True)))


def _text(args: Mapping[str, Any]) -> list[str]:
    title, content = args.get("title", ""), args.get("content")
    if not isinstance(title, str) or not isinstance(content, str):
        return []
    return [MissingVector(0, title, content).text]


def _relate(
    context: Context, calls: Sequence[BatchCall], answers: Sequence[dict[str, Any]]
) -> None:
    """Tell of each new memory which earlier ones may have to do with it, as remember does."""
    try:
        for call, answer in zip(calls, answers, strict=True):
            if call["verb"] == "memory.remember" and answer.get("status") == "stored":
                answer.update(changing.related(context, forms.entry_id(answer["id"])))
    except KhiveError as error:  # all is done, and that is what is to be said
        log.info("batch.not_related", error=str(error))
