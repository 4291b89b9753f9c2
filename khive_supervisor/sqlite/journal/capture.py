"""The tables of capturing: how far transcripts were read, candidates, switches."""

# ruff: noqa: S608 - statements are put together from this module's constants; values are bound
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import blake2b

from khive_supervisor.sqlite.engine.database import Database
from khive_supervisor.sqlite.journal.events import conditions
from khive_supervisor.store.journal.facet import CaptureStore
from khive_supervisor.store.journal.model import (
    ANY_EVENT,
    Candidate,
    CandidateState,
    JournalFilter,
    TranscriptCursor,
)

_CURSOR = "path, client, session, device, inode, offset, head, head_size, state"
_CANDIDATE = (
    "rule, kind, text, client, session, speaker, project_id, namespace, state, entry_id, "
    "created_at, id"
)
#: What stands for all projects among the switches.
_ALL = 0


class CaptureTable(CaptureStore):
    """`CaptureStore` on SQLite."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    # --- cursors --------------------------------------------------------------------------------

    def cursor(self, path: str) -> TranscriptCursor | None:
        rows = self._database.rows(f"SELECT {_CURSOR} FROM transcripts WHERE path = ?", [path])
        return TranscriptCursor(*rows[0]) if rows else None

    def put_cursor(self, cursor: TranscriptCursor) -> None:
        self._database.rows(
            f"INSERT OR REPLACE INTO transcripts ({_CURSOR}, updated_at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                cursor.path, cursor.client, cursor.session, cursor.device, cursor.inode,
                cursor.offset, cursor.head, cursor.head_size, cursor.state, self._clock(),
            ],
        )  # fmt: skip

    def cursors(self) -> list[TranscriptCursor]:
        rows = self._database.rows(f"SELECT {_CURSOR} FROM transcripts ORDER BY path")
        return [TranscriptCursor(*row) for row in rows]

    # --- candidates -----------------------------------------------------------------------------

    def propose(self, candidates: Sequence[Candidate]) -> list[int]:
        with self._database.write(local=True):
            found = [self._proposed(one) for one in candidates]
        return [one for one in found if one is not None]

    def _proposed(self, candidate: Candidate) -> int | None:
        gate = self._database.gate
        text = gate.written(candidate.text)
        row: int | None = self._database.value(
            "INSERT INTO candidates (rule, kind, text, state, client, session, speaker, "
            "project_id, namespace, digest, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT DO NOTHING RETURNING id",
            [
                candidate.rule, candidate.kind, text, str(candidate.state), candidate.client,
                candidate.session, candidate.speaker, candidate.project, candidate.namespace,
                _digest(text), self._clock(),
            ],
        )  # fmt: skip
        return row

    def candidate(self, candidate_id: int) -> Candidate | None:
        rows = self._database.rows(
            f"SELECT {_CANDIDATE} FROM candidates WHERE id = ?", [candidate_id]
        )
        return Candidate(*rows[0]) if rows else None

    def candidates(
        self, where: JournalFilter = ANY_EVENT, state: str | None = "open", limit: int = 100
    ) -> list[Candidate]:
        condition, bindings = conditions(replace(where, before=None))
        rows = self._database.rows(
            f"SELECT {_CANDIDATE} FROM candidates WHERE {condition} AND state = ifnull(?, state) "
            "ORDER BY id LIMIT ?",
            [*bindings, state, limit],
        )
        return [Candidate(*row) for row in rows]

    def decide(self, candidate_id: int, state: str, entry: int | None = None) -> bool:
        return bool(
            self._database.changed(
                "UPDATE candidates SET state = ?, entry_id = ?, decided_at = ? "
                "WHERE id = ? AND state = ?",
                [str(CandidateState(state)), entry, self._clock(), candidate_id, "open"],
            )
        )

    # --- switches -------------------------------------------------------------------------------

    def switch(self, project: int | None, enabled: bool | None) -> None:
        number = project or _ALL
        if enabled is None:
            self._database.rows("DELETE FROM capture_switches WHERE project_id = ?", [number])
            return
        self._database.rows(
            "INSERT INTO capture_switches VALUES (?, ?, ?) ON CONFLICT DO UPDATE "
            "SET enabled = excluded.enabled, at = excluded.at WHERE enabled <> excluded.enabled",
            [number, int(enabled), self._clock()],
        )

    def switches(self) -> dict[int | None, bool]:
        rows = self._database.rows("SELECT project_id, enabled FROM capture_switches ORDER BY 1")
        return {number or None: bool(enabled) for number, enabled in rows}

    def enabled_since(self) -> float:
        found = self._database.value("SELECT min(at) FROM capture_switches WHERE enabled")
        return float(found or 0.0)

    def allowed(self, project: int | None) -> bool:
        found = self.switches()
        return found.get(project, found.get(None, True))


def _digest(text: str) -> bytes:
    return blake2b(" ".join(text.casefold().split()).encode(), digest_size=12).digest()
