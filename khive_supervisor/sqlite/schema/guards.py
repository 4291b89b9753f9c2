"""What is checked before a store is opened, without writing a byte.

Every guard raises `StoreRefused` and leaves the directory as it was: no new file, no log beside
the database. The file itself is read through SQLite alone: in a process that has it open, closing
a descriptor of it by other means would drop SQLite's locks
(https://www.sqlite.org/howtocorrupt.html, section 2.2).
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import quote

import apsw

from khive_supervisor.errors import StoreRefused, StoreUnavailable
from khive_supervisor.sqlite.schema.released.statements import APPLICATION_ID

#: The first SQLite without the corruption by a reset of the write-ahead log under several
#: writers (https://www.sqlite.org/releaselog/3_51_3.html).
MINIMUM_SQLITE = (3, 51, 3)

#: Bytes of the smallest page that SQLite knows.
SMALLEST_DATABASE = 512

#: Filesystems whose locks or shared memory do not hold between hosts; fuse.* are refused as well,
#: but for the local ones below. WAL needs the memory of one host
#: (https://www.sqlite.org/wal.html, "All processes using a database must be on the same host").
NETWORK_FILESYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "coda", "ceph", "glusterfs", "lustre",
     "gfs2", "ocfs2", "beegfs", "orangefs", "pvfs2", "ncpfs", "davfs", "vboxsf", "prl_fs", "vmhgfs",
     "drvfs"}
)  # fmt: skip

#: FUSE filesystems that keep their data on this host.
LOCAL_FUSE = frozenset(
    {"fuseblk", "fuse.fuse-overlayfs", "fuse.gocryptfs", "fuse.encfs", "fuse.cryfs",
     "fuse.lxcfs", "fuse.zfs", "fuse.bindfs", "fuse.mergerfs"}
)  # fmt: skip

_MOUNTS = "/proc/self/mountinfo"


def filesystem_type(path: str) -> str | None:
    """The type of the filesystem that `path` (existing, absolute) is on; None: not known here.

    Taken from the mount table and not from statfs(2), which calls every FUSE filesystem the same.
    """
    try:
        with open(_MOUNTS, encoding="utf-8", errors="surrogateescape") as table:
            return _filesystem_in(table.read(), os.path.realpath(path))
    except OSError:
        return None


def _filesystem_in(table: str, path: str) -> str | None:
    """The type of the mount with the longest matching mount point; the last one of equals."""
    best, found = -1, None
    for line in table.splitlines():
        left, separator, right = line.partition(" - ")
        fields = left.split(" ")
        if not separator or len(fields) < 5:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), fields[4])
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= best:
            best, found = len(point), right.split(" ", 1)[0]
    return found


def is_network(filesystem: str) -> bool:
    """Return True if the locks of a filesystem of this type cannot be relied on."""
    if filesystem == "fuse" or filesystem.startswith("fuse."):
        return filesystem not in LOCAL_FUSE
    return filesystem in NETWORK_FILESYSTEMS


def check_library(version: str) -> None:
    """Refuse a SQLite that can corrupt a log that several processes write."""
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:3])
    if numbers < MINIMUM_SQLITE:
        raise StoreRefused(
            f"SQLite {version} can corrupt a database that several processes write.",
            hint="Install apsw 3.51.3 or newer: pip install -U apsw",
        )


def check_place(
    path: str, *, allow_network: bool, filesystem_of: Callable[[str], str | None]
) -> None:
    """Refuse a place where a store cannot live: network filesystem, no directory, not writable."""
    directory = os.path.dirname(path)
    ancestor = _existing_ancestor(directory)
    filesystem = filesystem_of(ancestor)
    if filesystem is not None and is_network(filesystem) and not allow_network:
        raise StoreRefused(
            f"{path} is on a network filesystem ({filesystem}), whose locks do not protect a "
            "database that several processes share.",
            hint="Put the store on a local disk (store.path); or, if only this host ever opens "
            "it, set store.allow_network_filesystem = true.",
        )
    if not os.path.isdir(ancestor):
        raise StoreRefused(
            f"{ancestor} is not a directory, so there can be no store at {path}.",
            hint="Choose another store.path.",
        )
    if not os.access(ancestor, os.W_OK | os.X_OK):
        raise StoreRefused(
            f"{ancestor} is not writable for this user, and the store {path} needs to write "
            "beside its file too.",
            hint="Choose another store.path, or change the directory's permissions.",
        )


def _existing_ancestor(directory: str) -> str:
    while not os.path.lexists(directory) and directory != os.path.dirname(directory):
        directory = os.path.dirname(directory)
    return directory


def check_file(path: str, newest_schema: int) -> None:
    """Refuse a file that is not ours, or of a newer release; a missing or empty one passes."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISREG(found.st_mode):
        raise StoreRefused(
            f"{path} is not a regular file.", hint="Choose another file as store.path."
        )
    if not os.access(path, os.R_OK | os.W_OK):
        raise StoreUnavailable(
            f"{path} cannot be written by this user.",
            hint="Change the file's permissions or owner; nothing was changed.",
        )
    if 0 < found.st_size < SMALLEST_DATABASE:
        # SQLite would take it for an empty database, and overwrite it.
        raise _not_a_database(path)
    if found.st_size:
        _check_header(path, newest_schema)


@contextmanager
def as_it_lies(path: str) -> Iterator[apsw.Connection]:
    """A connection that takes no lock and makes no log: for a look at the first pages."""
    connection = apsw.Connection(
        f"file:{quote(os.fsencode(path))}?immutable=1",
        flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI,
    )
    try:
        yield connection
    finally:
        connection.close()


def _check_header(path: str, newest_schema: int) -> None:
    """Look at the file as it lies there: `immutable` takes no lock and makes no log."""
    try:
        with as_it_lies(path) as connection:
            check_identity(connection, path, newest_schema)
    except apsw.NotADBError:
        raise _not_a_database(path) from None
    except (apsw.CorruptError, apsw.CantOpenError, apsw.IOError):
        # A log beside the file may complete it; the real opening tells.
        if not os.path.exists(path + "-wal"):
            raise StoreRefused(
                f"{path} is damaged: its first pages cannot be read.",
                hint="Restore it from a backup: khive-supervisor restore",
            ) from None


def _not_a_database(path: str) -> StoreRefused:
    return StoreRefused(
        f"{path} is not a SQLite database.",
        hint="Choose another store.path; the file was left untouched.",
    )


def check_identity(connection: apsw.Connection, path: str, newest_schema: int) -> None:
    """Refuse another application's database, and one that a newer release has migrated."""
    # In this order: another process may be making the store at this moment, and commits its
    # tables together with the mark that they are ours.
    tables = _number(connection, "SELECT count(*) FROM sqlite_schema")
    schema = _number(connection, "PRAGMA user_version")
    application = _number(connection, "PRAGMA application_id")
    if application != APPLICATION_ID and (application or schema or tables):
        raise StoreRefused(
            f"{path} is the database of another application.",
            hint="Choose another store.path; the file was left untouched.",
        )
    if schema > newest_schema:
        raise StoreRefused(
            f"{path} was written by a newer release (schema {schema}; this one knows "
            f"{newest_schema}).",
            hint="Upgrade khive-supervisor, or restore a backup from before the upgrade.",
        )


def _number(connection: apsw.Connection, sql: str) -> int:
    found = connection.execute(sql).fetchall()[0][0]
    assert isinstance(found, int)
    return found
