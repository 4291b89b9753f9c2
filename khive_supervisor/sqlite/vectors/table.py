"""The vectors' table: bytes by entry and model, numbered in the order in which they came."""

# ruff: noqa: S608 - statements are put together from this package's constants; values are bound
from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from khive_supervisor.errors import InvalidInput
from khive_supervisor.sqlite.engine.counts import Counted, counted, counted_anew
from khive_supervisor.sqlite.engine.database import Database
from khive_supervisor.sqlite.schema.released.statements import LIVE
from khive_supervisor.store.model import VECTOR_COMPONENT_BYTES
from khive_supervisor.store.vectors import MissingVector, VectorRow, VectorStats, VectorStore

_NONE = Counted(0, 0)
_NEWER = "SELECT seq, entry_id, data FROM vectors WHERE model_id = ? AND seq > ?"
_COVERED = "SELECT covered_seq FROM generations WHERE model_id = ? AND state = 'current'"
#: Row by row: a list of all live entries would be made anew for each step of a build.
_OF_LIVE = f"EXISTS (SELECT 1 FROM entries WHERE id = entry_id AND {LIVE})"


class VectorTable(VectorStore):
    """`VectorStore` on SQLite."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, model_id: str, vectors: Sequence[tuple[int, bytes]]) -> int:
        if not vectors:
            return 0
        with self._database.write():
            return self.add(model_id, vectors)

    def add(self, model_id: str, vectors: Sequence[tuple[int, bytes]]) -> int:
        """Do what `put` does, in a transaction that fails or succeeds with it."""
        self._check_lengths(model_id, {len(data) for _, data in vectors})
        return sum(
            self._database.changed(
                "INSERT INTO vectors (entry_id, model_id, data) SELECT id, ?, ? FROM entries "
                "WHERE id = ? ON CONFLICT (entry_id, model_id) DO NOTHING",
                [model_id, data, entry_id],
            )
            for entry_id, data in vectors
        )

    def _check_lengths(self, model_id: str, lengths: set[int]) -> None:
        """All vectors of a model have one length: that of its first one."""
        known = self._database.value(
            "SELECT vector_bytes FROM models WHERE model_id = ?", [model_id]
        )
        if known is None and len(lengths) == 1:
            known = min(lengths)
            if known == 0 or known % VECTOR_COMPONENT_BYTES:
                raise InvalidInput(f"A vector of float16 cannot have {known} bytes.")
            self._database.rows("INSERT INTO models VALUES (?, ?)", [model_id, known])
        if lengths != {known}:
            raise InvalidInput(
                f"Vectors of {model_id} have {known} bytes, not {sorted(lengths - {known})}.",
                hint="Vectors of two models cannot share a name: name the new model differently.",
            )

    def renumber(self, entry_id: int) -> None:
        """Make the vectors of an entry the newest ones."""
        rows = self._database.rows(
            "SELECT entry_id, model_id, data FROM vectors WHERE entry_id = ?", [entry_id]
        )
        # Not replaced: what a REPLACE removes, no trigger is told of.
        self._database.rows("DELETE FROM vectors WHERE entry_id = ?", [entry_id])
        for row in rows:
            self._database.rows(
                "INSERT INTO vectors (entry_id, model_id, data) VALUES (?, ?, ?)", row
            )

    def after(self, model_id: str, seq: int, limit: int) -> list[VectorRow]:
        return self._found(f"{_NEWER} ORDER BY seq LIMIT ?", [model_id, seq, limit])

    def newest(self, model_id: str, seq: int, limit: int) -> list[VectorRow]:
        return self._found(f"{_NEWER} ORDER BY seq DESC LIMIT ?", [model_id, seq, limit])[::-1]

    def live_after(self, model_id: str, seq: int, limit: int) -> list[VectorRow]:
        return self._found(f"{_NEWER} AND {_OF_LIVE} ORDER BY seq LIMIT ?", [model_id, seq, limit])

    def of(self, model_id: str, ids: Iterable[int]) -> list[VectorRow]:
        return self._found(
            "SELECT seq, entry_id, data FROM vectors WHERE entry_id IN "
            "(SELECT value FROM json_each(?)) AND model_id = ?",
            [json.dumps(list(ids)), model_id],
        )

    def _found(self, sql: str, bindings: Sequence[int | str]) -> list[VectorRow]:
        return [VectorRow(*row) for row in self._database.rows(sql, bindings)]

    def missing(self, model_id: str, limit: int, after_id: int = 0) -> list[MissingVector]:
        rows = self._database.rows(
            f"SELECT id, title, content FROM entries WHERE id > ? AND {LIVE} AND NOT EXISTS "
            "(SELECT 1 FROM vectors WHERE entry_id = entries.id AND model_id = ?) "
            "ORDER BY id LIMIT ?",
            [after_id, model_id, limit],
        )
        return [MissingVector(*row) for row in rows]

    def drop_except(self, model_id: str, limit: int = 2000) -> int:
        if self._database.shared:  # another node's model may be another one
            return 0
        with self._database.write():
            gone = self._database.changed(
                "DELETE FROM vectors WHERE seq IN "
                "(SELECT seq FROM vectors WHERE model_id <> ? LIMIT ?)",
                [model_id, limit],
            )
            if gone < limit:
                self._database.rows("DELETE FROM models WHERE model_id <> ?", [model_id])
        return gone

    def stats(self, model_id: str) -> VectorStats:
        covered = self._database.value(_COVERED, [model_id])
        newer = self._database.value(
            "SELECT count(*) FROM vectors INDEXED BY vectors_by_model "
            f"WHERE model_id = ? AND seq > ? AND {_OF_LIVE}",
            [model_id, covered or 0],
        )
        counts = counted(self._database)
        vectors = counts.pop(model_id, _NONE).live
        entries = counts.pop("", _NONE).live
        return VectorStats(
            model_id=model_id,
            vectors=vectors,
            newer=newer,
            missing=entries - vectors,
            last_seq=self.last_seq(model_id),
            other_models=0 if self._database.shared else sum(c.stored for c in counts.values()),
        )

    def recount(self) -> bool:
        with self._database.write():
            true, wrong = counted_anew(self._database), counted(self._database)
            if true == wrong:
                return False
            self._database.rows("DELETE FROM vector_counts WHERE true")
            for name, one in true.items():
                self._database.insert(
                    "vector_counts", model_id=name, stored=one.stored, live=one.live
                )
            return True

    def last_seq(self, model_id: str) -> int:
        return int(
            self._database.value(
                "SELECT ifnull(max(seq), 0) FROM vectors WHERE model_id = ?", [model_id]
            )
        )
