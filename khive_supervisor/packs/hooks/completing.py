"""What the hooks of a client leave out and its transcript has: exit codes of Codex's commands."""

from __future__ import annotations

import os

from khive_supervisor.host import paths
from khive_supervisor.packs.hooks.whose import Kept
from khive_supervisor.store.journal.sessions import ClientSession
from khive_supervisor.transcripts import codex, finding
from khive_supervisor.transcripts.reading import SessionBelonging, take_in
from khive_supervisor.verbs.context import Context

#: What a transcript is called: this, when it was begun, and the session.
_HEAD = "rollout-2026-11-30T04-41-46-"
_TAIL = ".jsonl"


def complete(context: Context, session: ClientSession, kept: Kept) -> None:
    """Take in what the session's own transcript has more, for the project that its hooks tell of.

    Raises:
        OSError: it cannot be read; StoreUnavailable, StoreError: it cannot be kept.
    """
    if session.client != codex.CLIENT or not kept.words or context.grant.confined:
        return
    own = SessionBelonging(kept.project, session.namespace, kept=True)
    root = finding.roots(paths.home(), os.environ)[codex.CLIENT]
    for file in finding.transcripts({codex.CLIENT: root}):
        if os.path.basename(file.path)[len(_HEAD) :] == f"{session.session}{_TAIL}":
            while take_in(context.store, file, lambda _: own).more:
                pass
