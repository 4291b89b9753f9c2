"""Making a replica of the server's base, and giving the server a base made of a replica."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import socket
import tempfile
from contextlib import closing

import apsw

from khive_supervisor.errors import StoreError, StoreRefused
from khive_supervisor.host.durable import sync
from khive_supervisor.sqlite.engine.backup import copy_to
from khive_supervisor.sqlite.schema import migrations
from khive_supervisor.sqlite.schema.migrations import NEWEST
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.sqlite.team import copies, replica, slicing
from khive_supervisor.sqlite.team.replica import Replica
from khive_supervisor.team.order import forgotten_before
from khive_supervisor.team.parts import TEAM, Rights
from khive_workers.team import bases, members, nodes, tables
from khive_workers.team.bases import Base, Progress
from khive_workers.team.server import TeamServer


def node_name() -> str:
    """Return a new name for this node: the machine's, and some letters of its own."""
    return f"{socket.gethostname().partition('.')[0][:40]}-{secrets.token_hex(2)}"


def untold(done: int, total: int) -> None:
    """Tell nobody how far it is."""


def join(server: TeamServer, path: str, progress: Progress = untold) -> Base:
    """Make the replica at a path, which does not exist yet: of the server's base, or the first.

    Raises:
        KhiveError: it could not be made; nothing is at the path.
    """
    if tables.exist(server):
        members.check_any(members.rights(server))
    with tables.making(server):
        base = bases.newest(server)
        if base is None:
            _make_first(server, path)
            base = bases.newest(server)
    assert base is not None
    part = path + ".part"
    take(server, base, part, node_name(), progress)
    os.rename(part, path)
    sync(os.path.dirname(path))
    return base


def take(server: TeamServer, base: Base, part: str, node: str, progress: Progress = untold) -> None:
    """Write a base to a file of its own, as the replica of a node.

    Raises:
        StoreRefused: a later release made it.
        StoreError: what came is not what was made.
    """
    if base.schema > NEWEST:
        raise StoreRefused(
            f"The team's store is of the schema {base.schema}, and this release knows {NEWEST}.",
            hint="Upgrade this node: pip install --upgrade khive-supervisor.",
        )
    rights = members.rights(server)
    if rights.full:
        _take_whole(server, base, part, progress)
    else:
        _take_slices(server, base, part, rights, progress)
    team = server.look(base.position.number).team
    made = Replica(
        node, team, base.position.number, base.position.nonce, schema=nodes.schema(server),
        rights=rights,
    )  # fmt: skip
    with closing(apsw.Connection(part, flags=apsw.SQLITE_OPEN_READWRITE)) as connection:
        migrations.migrate(connection)  # a node of an earlier release may have made it
        replica.put(connection, made)
    sync(part)


def _take_whole(server: TeamServer, base: Base, part: str, progress: Progress) -> None:
    found = hashlib.sha256()
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        for number, data in enumerate(bases.parts(server, base.id, base.parts), 1):
            found.update(data)
            file.write(data)
            progress(number, base.parts)
    if found.digest() != base.sha256:
        raise StoreError(
            f"The base at change {base.position.number} is damaged.",
            hint="Repeat it: a node makes another base from time to time.",
        )


def _take_slices(
    server: TeamServer, base: Base, part: str, rights: Rights, progress: Progress
) -> None:
    if not rights.namespaces:
        slicing.merge((), part)
        return
    names = [name for name in bases.slice_names(server, base) if rights.see(name)]
    if TEAM not in names:
        raise StoreError(
            "The server has no base yet that is apart by namespace.",
            hint="A node that sees all namespaces makes one within a minute: repeat this then.",
        )
    with tempfile.TemporaryDirectory(dir=os.path.dirname(part)) as directory:
        paths = [os.path.join(directory, str(number)) for number in range(len(names))]
        for done, (name, path) in enumerate(zip(names, paths, strict=True), 1):
            bases.load_slice(server, base, name, path)
            progress(done, len(names) + 1)
        # A store that is opened is known by its path: this one is not opened at its own yet.
        made = os.path.join(directory, "made")
        slicing.merge(paths, made)
        with SqliteStore(made, guarded=False) as store:
            slicing.write_words(store.database, store.entries)
        os.rename(made, part)


def _make_first(server: TeamServer, path: str) -> None:
    """Give the server an empty store as its first base."""
    with (
        tempfile.TemporaryDirectory(dir=os.path.dirname(path)) as directory,
        SqliteStore(os.path.join(directory, "khive.db")) as store,
    ):
        put(server, store, os.path.join(directory, "base"), "")


def put(server: TeamServer, store: SqliteStore, copy: str, node: str) -> Base:
    """Give the server a store's content as its base; return that. A copy is made there meanwhile.

    Raises:
        KhiveError: it could not be copied or sent; the server keeps the base that it had.
    """
    copy_to(store.database, copy)
    try:
        base = strip(copy)
        there = bases.upload(server, base, node, copy, untold)
        # Who does not see everything has no use for a base that undivided changes follow.
        if members.need_slices(server) and base.position.number >= server.divided_since():
            _put_slices(server, there, copy)
        number = base.position.number
        forget = max(forgotten_before(number), nodes.newest_purge(server, number))
        bases.publish(server, there, forget)
    finally:
        os.unlink(copy)
    return base


def _put_slices(server: TeamServer, base: int, copy: str) -> None:
    with closing(apsw.Connection(copy, flags=apsw.SQLITE_OPEN_READONLY)) as connection:
        names = slicing.namespaces(connection)
    path = copy + ".slice"
    try:
        for name in names:
            slicing.write_slice(copy, name, path)
            bases.upload_slice(server, base, name, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def strip(copy: str) -> Base:
    """Leave only what is shared in a copy; return what it is then."""
    position, entries = copies.strip(copy)
    return Base(position, NEWEST, os.path.getsize(copy), _digest(copy), entries)


def _digest(path: str) -> bytes:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
