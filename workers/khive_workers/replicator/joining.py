"""Bases: a whole replica as the server keeps it, made by a node, and taken by one that joins."""

from __future__ import annotations

import hashlib
import os
import secrets
import socket
import tempfile
import zlib
from collections.abc import Iterator

import apsw

from khive_supervisor.errors import StoreError
from khive_supervisor.host.durable import sync
from khive_supervisor.sqlite.engine.backup import copy_to
from khive_supervisor.sqlite.schema.migrations import NEWEST
from khive_supervisor.sqlite.schema.shared import LOCAL
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.sqlite.team import replica
from khive_supervisor.sqlite.team.replica import Replica
from khive_supervisor.team.order import forgotten_before
from khive_workers.replicator.server import Base, TeamServer

#: Bytes of a part before it is compressed.
PART = 4 << 20
#: Local tables that are kept in a base: the words of its entries, and the counters' rows.
_KEPT = frozenset({"changes", "entries_fts", "entries_terms", "entries_occurrences"})


def node_name() -> str:
    """Return a new name for this node: the machine's, and some letters of its own."""
    return f"{socket.gethostname().partition('.')[0][:40]}-{secrets.token_hex(2)}"


def join(server: TeamServer, path: str) -> None:
    """Make the replica at a path, which does not exist yet: of the server's base, or the first.

    Raises:
        KhiveError: it could not be made; nothing is at the path.
    """
    with server.making():
        base = server.base()
        if base is None:
            base = _make_first(server, path)
    part = path + ".part"
    take(server, base, part, node_name())
    os.rename(part, path)
    sync(os.path.dirname(path))


def take(server: TeamServer, base: Base, part: str, node: str) -> None:
    """Write a base to a file of its own, as the replica of a node.

    Raises:
        StoreError: what came is not what was made.
    """
    found = hashlib.sha256()
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        for data in server.parts(base):
            plain = zlib.decompress(data)
            found.update(plain)
            file.write(plain)
    if found.digest() != bytes(base.sha256):
        raise StoreError(
            f"The base at change {base.number} is damaged.", hint="Join again, or make another."
        )
    connection = apsw.Connection(part, flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        replica.put(connection, Replica(node, server.look().team, base.number))
    finally:
        connection.close()
    sync(part)


def _make_first(server: TeamServer, path: str) -> Base:
    """Give the server an empty store as its first base."""
    with (
        tempfile.TemporaryDirectory(dir=os.path.dirname(path)) as directory,
        SqliteStore(os.path.join(directory, "khive.db")) as store,
    ):
        return put(server, store, directory, "")


def put(server: TeamServer, store: SqliteStore, directory: str, node: str) -> Base:
    """Give the server a store's content as its base; return that. `directory` has room for a copy.

    Raises:
        KhiveError: it could not be copied or sent; the server keeps the base that it had.
    """
    copy = os.path.join(directory, "base.db")
    copy_to(store.database, copy)
    try:
        number = _strip(copy)
        base = Base(number, NEWEST, os.path.getsize(copy), _digest(copy))
        packed = (zlib.compress(data, 1) for data in _parts_of(copy))
        server.put_base(base, node, packed, forgotten_before(number))
    finally:
        os.unlink(copy)
    return base


def _strip(copy: str) -> int:
    """Leave only what is shared in a copy; return the number that it is at."""
    connection = apsw.Connection(copy, flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        number = replica.position(connection)
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
        with connection:
            for table in sorted(LOCAL - _KEPT):
                connection.execute(f"DELETE FROM {table}")  # noqa: S608 - the schema's own names
        connection.execute("VACUUM")
    finally:
        connection.close()
    return number


def _digest(path: str) -> bytes:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _parts_of(path: str) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while data := file.read(PART):
            yield data
