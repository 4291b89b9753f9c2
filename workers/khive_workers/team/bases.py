"""Bases at the server: whole replicas in compressed parts; one counts once all of it is there."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from khive_supervisor.errors import StoreError
from khive_supervisor.team.order import LogPosition
from khive_workers.team.server import TeamServer

#: Bytes of a part before it is compressed.
PART = 4 << 20
_COLUMNS = "id, number, nonce, schema, bytes, sha256, entries"

#: The key of the advisory lock of the node that renews the base.
_RENEWING = 7_310_552_002

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Base:
    """What a base is: the position it is of, how large, how to know that it is whole."""

    position: LogPosition
    schema: int
    size: int
    sha256: bytes
    entries: int
    id: int = 0

    @property
    def parts(self) -> int:
        """How many parts it has."""
        return -(-self.size // PART)


def newest(server: TeamServer) -> Base | None:
    """Return the newest base that is whole; None: there is none."""
    return _found(server, "ready ORDER BY id DESC LIMIT 1")


def sliced(server: TeamServer, base: Base) -> bool:
    """Return whether a base is there in slices, too, and every change after it is in parts."""
    sql = "SELECT EXISTS (SELECT FROM khive.slices WHERE base = %s AND namespace = '')"
    is_there = bool(server.ask(sql, (base.id,))[0][0])
    return is_there and base.position.number >= server.divided_since()


def upload_slice(server: TeamServer, base: int, name: str, path: str) -> None:
    """Have the server hold a slice of a base that does not count yet."""
    count = max(1, -(-os.path.getsize(path) // PART))
    with open(path, "rb") as file:
        for part in range(count):
            server.ask(
                "INSERT INTO khive.slices VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                (base, name, part, count, zlib.compress(file.read(PART), 1)),
            )


def slice_names(server: TeamServer, base: Base) -> list[str]:
    """Return the names of the slices of a base that this member may see."""
    sql = "SELECT DISTINCT namespace FROM khive.slices WHERE base = %s ORDER BY 1"
    return [name for (name,) in server.ask(sql, (base.id,))]


def load_slice(server: TeamServer, base: Base, name: str, path: str) -> None:
    """Write a slice to a file.

    Raises:
        StoreError: the server does not have all of it.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    part, parts = 0, 1
    with open(descriptor, "wb") as file:
        while part < parts:
            rows = server.ask(
                "SELECT parts, data FROM khive.slices "
                "WHERE base = %s AND namespace = %s AND part = %s",
                (base.id, name, part),
            )
            if not rows:
                raise StoreError(
                    f"The base at change {base.position.number} is not whole any more.",
                    hint="Repeat it: another one has taken its place.",
                )
            parts, data = rows[0]
            file.write(zlib.decompress(data))
            part += 1


def renewing(server: TeamServer) -> bool:
    """Be the only node that renews the base, as long as the connection lasts; False: one is."""
    return bool(server.ask(f"SELECT pg_try_advisory_lock({_RENEWING})")[0][0])


def _found(server: TeamServer, where: str) -> Base | None:
    sql = f"SELECT {_COLUMNS} FROM khive.base WHERE {where}"  # noqa: S608 - our own words
    for id_, number, nonce, schema, size, sha256, entries in server.ask(sql):
        position = LogPosition(number, bytes(nonce))
        return Base(position, schema, size, bytes(sha256), entries, id_)
    return None


def parts(server: TeamServer, base: int, count: int) -> Iterator[bytes]:
    """Give the parts of a base in their order, as they were before they were compressed."""
    for part in range(count):
        rows = server.ask(
            "SELECT data FROM khive.base_parts WHERE base = %s AND part = %s", (base, part)
        )
        yield zlib.decompress(rows[0][0]) if rows else b""


def upload(server: TeamServer, base: Base, node: str, path: str, progress: Progress) -> int:
    """Have the server hold a base, which does not count yet; return its number there.

    What was uploaded of the same one before is not uploaded again; anything else that does not
    count is removed.
    """
    waiting = _found(server, "NOT ready ORDER BY id DESC LIMIT 1")
    if waiting is None or (waiting.sha256, waiting.position) != (base.sha256, base.position):
        server.ask("DELETE FROM khive.base WHERE NOT ready")
        there = _begin(server, base, node)
    else:
        there = waiting.id
    sql = "SELECT coalesce(max(part) + 1, 0) FROM khive.base_parts WHERE base = %s"
    done = int(server.ask(sql, (there,))[0][0])
    with open(path, "rb") as file:
        file.seek(done * PART)
        while data := file.read(PART):
            packed = zlib.compress(data, 1)
            server.ask("INSERT INTO khive.base_parts VALUES (%s, %s, %s)", (there, done, packed))
            done += 1
            progress(done, base.parts)
    return there


def _begin(server: TeamServer, base: Base, node: str) -> int:
    rows = server.ask(
        "INSERT INTO khive.base (number, nonce, schema, bytes, sha256, entries, node) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s) RETURNING id",
        (
            base.position.number, base.position.nonce, base.schema, base.size, base.sha256,
            base.entries, node,
        ),
    )  # fmt: skip
    return int(rows[0][0])


def publish(server: TeamServer, there: int, forget: int, *, anew: bool = False) -> None:
    """Have an uploaded base be the only one, and forget the log up to a number; all or nothing.

    `anew`: it is of another store than the one that was there, whose replicas do not fit any more.
    """
    server.ask(
        "BEGIN; DELETE FROM khive.base WHERE id <> %s; "
        "UPDATE khive.base SET ready = true WHERE id = %s; "
        "DELETE FROM khive.log WHERE number <= %s; "
        "UPDATE khive.head SET team = CASE WHEN %s THEN gen_random_uuid() ELSE team END; COMMIT",
        (there, there, forget, anew),
    )
