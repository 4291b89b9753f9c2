"""What the page asks, as the HTTP worker's service answers it: in a thread of its own."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from khive_supervisor.access.grant import OPERATOR
from khive_supervisor.audit.several import verify_chains
from khive_supervisor.errors import KhiveError
from khive_supervisor.packs.truth.code import freshness
from khive_supervisor.store.curation import Listing
from khive_supervisor.store.model import EntryFilter
from khive_supervisor.team.waiting import shown
from khive_supervisor.text import wellformed
from khive_supervisor.text.plain_json import JsonObject
from khive_supervisor.verbs import forms
from khive_supervisor.verbs.context import Context, SessionInfo
from khive_supervisor.verbs.kept import Served
from khive_workers.desk.lasting import LastingReplies
from khive_workers.desk.views.wishes import (
    CODE,
    DISK,
    PIECES,
    VERIFY,
    WAITING,
    Failed,
    Reply,
    Wish,
)
from khive_workers.http.service import Lane, Service

#: Pieces of a document that are shown, and characters of each.
MOST_PIECES, PIECE_CHARACTERS = 200, 200
#: Writes that wait, and such that were put aside, that are shown.
MOST_WRITES = 50
#: Whoever has logged in is the user, and not one of their agents.
PAGE = SessionInfo(actor="desk", kind="verbs", cwd="")


class Desk:
    """Fulfils the page's wishes; used only from the worker's loop."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._lane = Lane(service.context(PAGE, OPERATOR))
        #: Used only from the lane's thread.
        self._kept = LastingReplies(time.monotonic)

    async def fulfil(self, wishes: Sequence[Wish]) -> list[Reply]:
        """Return what came of each, in order; verbs in one go of the thread."""
        verbs = [wish for wish in wishes if not wish.supervisor]
        answers = iter(await self._lane.run(lambda context: self._run(context, verbs)))
        return [await self._ask(wish) if wish.supervisor else next(answers) for wish in wishes]

    async def _ask(self, wish: Wish) -> Reply:
        try:
            return await self._service.ask(wish.verb, dict(wish.args))
        except KhiveError as error:
            return Failed(_words(error))

    def _run(self, context: Context, wishes: Sequence[Wish]) -> list[Reply]:
        return [
            self._lasting(context, wish) if wish.lasts else self._one(context, wish)
            for wish in wishes
        ]

    def _lasting(self, context: Context, wish: Wish) -> Reply:
        token = context.versions.token()
        return self._kept.given(wish, token, lambda: self._one(context, wish))

    def _one(self, context: Context, wish: Wish) -> Reply:
        # Looking is no feedback: nothing that was shown here counts as served to somebody.
        context.session, context.served = replace(PAGE, project_name=wish.project), Served()
        try:
            if wish.verb in _FACTS:
                return _FACTS[wish.verb](context, wish)
            answer = self._service.registry.call(context, wish.verb, dict(wish.args))
        except KhiveError as error:
            return Failed(_words(error))
        found: JsonObject = wellformed.data(dict(answer))
        return found

    async def login(self, ticket: str) -> bool:
        """Use a login's ticket up; return True if it was good."""
        try:
            answer = await self._service.ask("desk.redeem", {"ticket": ticket[:200]})
        except KhiveError:
            return False
        return answer.get("valid") is True

    async def token(self) -> object:
        """Return what is another value after every commit to the store."""
        return await self._lane.run(lambda context: context.versions.token())


def _nothing(_context: Context, _wish: Wish) -> Reply:
    return Failed("")


def _verified(context: Context, _wish: Wish) -> Reply:
    return dict(verify_chains(context.store.audit).as_dict())


def _code(context: Context, wish: Wish) -> Reply:
    entries = forms.existing(context.store, [str(wish.args["id"])])
    found = freshness(context, entries, time.monotonic)
    return dict(found.get(entries[0].id, {}))


def _pieces(context: Context, wish: Wish) -> Reply:
    """Return the pieces of an entry's document, in order, each cut; a memory has none."""
    (entry,) = forms.existing(context.store, [str(wish.args["id"])])
    if entry.collection != "knowledge" or not entry.source:
        return {"entries": []}
    where = EntryFilter(
        collection=entry.collection, namespaces=(entry.namespace,), source=entry.source
    )
    found = context.store.entries.get(context.store.lists.ids(Listing(where), MOST_PIECES))
    pieces = [forms.show(one, PIECE_CHARACTERS) for one in found if one.source == entry.source]
    return {"entries": pieces}


def _disk(context: Context, _wish: Wish) -> Reply:
    disk = os.statvfs(os.path.dirname(context.store.path))
    found = {"free": disk.f_bavail * disk.f_frsize, "size": disk.f_blocks * disk.f_frsize}
    with contextlib.suppress(OSError):
        found["log_file"] = os.stat(context.config.log.file).st_size
    return found


def _waiting(context: Context, _wish: Wish) -> Reply:
    """Return writes that a team does not have yet; there are none in a store of one machine."""
    return {"writes": [{**shown(one)} for one in context.whole_store.waiting.some(MOST_WRITES)]}


_FACTS: Mapping[str, Callable[[Context, Wish], Reply]] = {
    "": _nothing,
    VERIFY.verb: _verified,
    DISK.verb: _disk,
    CODE.verb: _code,
    PIECES.verb: _pieces,
    WAITING.verb: _waiting,
}


def _words(error: KhiveError) -> str:
    text = str(error)
    return text if error.hint in text else f"{text} {error.hint}".strip()
