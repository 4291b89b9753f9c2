"""Who holds a lock of a file, as the kernel lists it.

Nothing is opened for that: a process that closes a file loses all its own locks of it.
"""

from __future__ import annotations

import os

#: The kernel's list: number, kind, "ADVISORY", READ or WRITE, process, device:inode, first, last.
_LIST = "/proc/locks"
#: The byte of SQLite's shared memory that whoever writes has locked (its documentation, walformat).
_WRITER = 120


def writer_of(database: str) -> int | None:
    """Return the process that is in the middle of a write to a SQLite database in WAL mode.

    None: nobody is, or the kernel does not tell.
    """
    try:
        inode = str(os.stat(f"{database}-shm").st_ino)
        with open(_LIST, encoding="ascii", errors="replace") as file:
            listed = file.read()
    except OSError:
        return None
    for line in listed.splitlines():
        words = line.split()
        if len(words) != 8 or words[1:4:2] != ["POSIX", "WRITE"]:
            continue  # somebody waits, or it is another kind
        _, _, _, _, pid, where, first, last = words
        # Devices are numbered otherwise by some filesystems: the inode and the byte tell enough.
        if where.rpartition(":")[2] == inode and _covers(first, last):
            return int(pid)
    return None


def _covers(first: str, last: str) -> bool:
    return int(first) <= _WRITER and (last == "EOF" or int(last) >= _WRITER)
