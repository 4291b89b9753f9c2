"""After something was removed from the tables: getting its bytes out of the files, and looking."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TypedDict

from khive_supervisor.errors import KhiveError, StoreUnavailable
from khive_supervisor.host.byte_search import files_with
from khive_supervisor.index.vectors.generation import Generations
from khive_supervisor.store.model import Entry
from khive_supervisor.verbs.context import Context

#: By file, the numbers of what it holds.
Found = Mapping[str, Sequence[int]]
#: Bytes of a piece of a text that is looked for, and how many pieces of one text.
_PIECE, _PIECES = 24, 3
#: Characters of the shortest word that is looked for, words of one entry, and all that is.
_WORD, _WORDS, _NEEDLES = 6, 8, 48
#: Seconds between two looks whether an old index is gone, and looks in all.
_PAUSE, _LOOKS = 0.1, 300
#: Attempts to empty the log, which readers can hold up.
_EMPTYINGS = 5


class Remainder(TypedDict):
    """What is left of something, where, and why."""

    where: str
    what: str


def pieces_of(context: Context, entries: Sequence[Entry]) -> list[bytes]:
    """Return pieces of entries that are not to be found any more once they are removed."""
    found: dict[bytes, None] = {}
    for entry in entries:
        for text in (entry.content, entry.title):
            found |= dict.fromkeys(_pieces(text.encode()))
    if context.embedder is not None:
        rows = context.store.vectors.of(context.embedder.model_id, [one.id for one in entries])
        found |= dict.fromkeys(row.data[: 2 * _PIECE] for row in rows)
    return list(found)


def _pieces(data: bytes) -> Iterable[bytes]:
    """Return the beginning, the middle and the end; of a short text all of it, if it is any."""
    if len(data) <= _PIECE:
        return [data] if len(data) >= _WORD else []
    last = len(data) - _PIECE
    return [data[start : start + _PIECE] for start in range(0, last + 1, max(last // 2, 1))][
        :_PIECES
    ]


def own_words(context: Context, entries: Sequence[Entry]) -> list[bytes]:
    """Return words of entries, as the index has them, that no entry has any more."""
    found: dict[bytes, None] = {}
    for entry in entries:
        words = sorted(set(re.findall(rf"\w{{{_WORD},}}", entry.content)), key=len, reverse=True)
        counts = context.store.full_text.document_frequencies(words[: 4 * _WORDS])
        gone = [word for word, count in counts.items() if not count][:_WORDS]
        for tokens in context.store.full_text.tokens(gone).values():
            found |= dict.fromkeys(token.encode() for token in tokens if len(token) >= _WORD)
    return list(found)


def erase(
    context: Context, pieces: Sequence[bytes], words: Sequence[bytes], entries: Sequence[Entry]
) -> list[Remainder]:
    """Get removed bytes out of log, free pages and index; return what is left of them, and where.

    `pieces` are told of wherever they are found. `words` may be anybody's: they are looked for only
    where nothing accounts for them. `entries` are those whose vectors were removed.
    """
    needles = list(dict.fromkeys([*pieces[:_NEEDLES], *words[:_NEEDLES]]))
    left = _out_of_log(context)
    left += _out_of_index(context, entries)
    found = _files(context, needles)
    if _loose(context, needles, found):
        left += _out_of_free_pages(context)
        found = _files(context, needles)
    return left + _told(context, needles, found, len(set(pieces[:_NEEDLES])))


def _out_of_log(context: Context) -> list[Remainder]:
    for _ in range(_EMPTYINGS):
        if context.store.checkpoint(truncate=True).complete:
            return []
        context.pause(_PAUSE)
    what = "somebody reads it; it is emptied when they are done"
    return [{"where": context.store.path + "-wal", "what": what}]


def _out_of_free_pages(context: Context) -> list[Remainder]:
    try:
        context.store.purges.compact()
    except StoreUnavailable as error:
        what = f"free pages could not be removed: {error.message} Purge again when that has changed"
        return [{"where": context.store.path, "what": what}]
    return _out_of_log(context)


def _loose(context: Context, needles: Sequence[bytes], found: Found) -> list[bytes]:
    """Return what the database's file holds and no row accounts for."""
    held = [needles[number] for number in found.get(context.store.path, ())]
    return [one for one in held if not context.store.purges.holders(one)]


# --- the index ------------------------------------------------------------------------------------


def _out_of_index(context: Context, entries: Sequence[Entry]) -> list[Remainder]:
    """Have an index built without the entries, and wait until those with them are gone."""
    generations = Generations(context.store.path)
    if not _may_have(context, generations, entries):
        return []
    try:
        newest = _begin_build(context, generations)
    except KhiveError as error:
        why = f"the next index build removes it (khive-supervisor index build); {error.message}"
        return [{"where": generations.directory, "what": f"its vector: {why}"}]
    for _ in range(_LOOKS):
        if not _old_ones(context, generations, newest):
            return []
        context.pause(_PAUSE)
    what = "its vector, in an index that is still used; the next build removes it"
    return [{"where": generations.directory, "what": what}]


def _may_have(context: Context, generations: Generations, entries: Sequence[Entry]) -> bool:
    """Return True if an index, or one that is being built, may have been made of the entries."""
    rows = context.store.generations.all()
    highest = max((row.max_entry_id for row in rows), default=-1)
    begun = max(_numbers(generations), default=0) > max((row.generation for row in rows), default=0)
    return begun or any(one.id <= highest for one in entries)


def _begin_build(context: Context, generations: Generations) -> int:
    """Have a build begun; return the number of the newest index that was begun before it."""
    for _ in range(_LOOKS):
        before = max(
            [*_numbers(generations), *(g.generation for g in context.store.generations.all())]
        )
        if context.ask_supervisor("index.build")["started"]:
            return before
        context.pause(_PAUSE)  # one is at work that may have read the entries
    raise StoreUnavailable("another index is being built for long.")


def _numbers(generations: Generations) -> list[int]:
    """Return the numbers of the indexes that have files."""
    try:
        names = os.listdir(generations.directory)
    except FileNotFoundError:
        return []
    return [int(number) for name in names if (number := name.partition(".")[0]).isdigit()]


def _old_ones(context: Context, generations: Generations, newest: int) -> bool:
    """Return True while a file of an old index is there; removes those that nobody uses."""
    stored = context.store.generations
    if any(row.current and row.generation <= newest for row in stored.all()):
        return True
    with generations.builder_lock() as mine:
        if mine:
            generations.clean(stored)
    return any(number <= newest for number in _numbers(generations))


# --- looking --------------------------------------------------------------------------------------


def _files(context: Context, needles: Sequence[bytes]) -> Found:
    """Return the files of the store and the log that hold any of the bytes."""
    folders = (os.path.dirname(context.store.path), os.path.dirname(context.config.log.file))
    return files_with(needles, [one for one in dict.fromkeys(folders) if os.path.isdir(one)])


def _told(context: Context, needles: Sequence[bytes], found: Found, pieces: int) -> list[Remainder]:
    """Return what is to be told of what was found; words come after so many pieces."""
    told: list[Remainder] = []
    for path, held in found.items():
        of_pieces = [number for number in held if number < pieces]
        if path == context.store.path:
            told += _in_database(context, [needles[n] for n in of_pieces])
            if _loose(context, needles, {path: held}):
                told.append({"where": path, "what": "its pages"})
        elif of_pieces:
            told.append({"where": path, "what": _kind(context, path)})
    return told


def _in_database(context: Context, pieces: Sequence[bytes]) -> list[Remainder]:
    """Return which rows say what was removed."""
    holders = [one for piece in pieces for one in context.store.purges.holders(piece)]
    if not holders:
        return []
    what = f"the same words are in {', '.join(dict.fromkeys(holders))}"
    return [{"where": context.store.path, "what": what}]


def _kind(context: Context, path: str) -> str:
    """Return what a file beside the database is."""
    if path.startswith(context.config.log.file):
        return "the log; it is not touched"
    if path.startswith(context.store.path + "-"):
        return "the log of the database; it is emptied when nobody reads it"
    return "a copy of the store, or somebody's file; it is not touched"
