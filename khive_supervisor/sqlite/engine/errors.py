"""From SQLite's errors to ours: what happened, and what to do about it."""

from __future__ import annotations

import apsw

from khive_supervisor.errors import StoreError, StoreUnavailable
from khive_supervisor.host import file_locks, processes

#: SQLITE_IOERR_WRITE: the kernel refused a write. A quota or a file-size limit (EDQUOT, EFBIG)
#: comes as this one, not as SQLITE_FULL.
_IOERR_WRITE = 778

_RESTORE = "Restore the store from a backup: khive-supervisor restore (doctor says what is damaged)"


def translated(error: apsw.Error, path: str) -> StoreError:
    """Return our error for one of SQLite's; the transaction has been rolled back."""
    match error:
        case apsw.BusyError() | apsw.LockedError():
            return _busy(path)
        case apsw.FullError():
            return _full(path)
        case apsw.IOError() if _code(error) == _IOERR_WRITE:
            return _full(path)
        case apsw.ReadOnlyError() | apsw.PermissionsError():
            return StoreUnavailable(
                f"{path} cannot be written: it or its filesystem is read-only.",
                hint="Make the file and its directory writable; nothing was changed.",
            )
        case apsw.CorruptError() | apsw.NotADBError():
            return StoreError(f"{path} is damaged: {error}.", hint=_RESTORE)
        case apsw.IOError() | apsw.CantOpenError():
            return StoreError(
                f"{path} could not be read or written: {error} (SQLite {_code(error)}).",
                hint="Check the disk and its log messages; nothing was changed.",
            )
    return StoreError(f"The store could not do this: {error}.", hint="This is a defect; report it.")


def _busy(path: str) -> StoreUnavailable:
    writer = file_locks.writer_of(path)
    if writer is None or not processes.stopped(writer):
        return StoreUnavailable(
            f"Another process is writing to {path} and did not finish in time.",
            hint="Try again; if it persists, look for a stopped process that has it open.",
        )
    return StoreUnavailable(
        f"Process {writer} was stopped in the middle of a write to {path}: nobody else can write.",
        hint=f"`kill -CONT {writer}` lets it go on; `kill -9 {writer}` ends it. Nothing that was "
        "acknowledged is lost.",
    )


def _code(error: apsw.Error) -> int:
    """SQLite's extended code; apsw sets it on the errors that SQLite itself reported."""
    return int(getattr(error, "extendedresult", 0))


def _full(path: str) -> StoreUnavailable:
    return StoreUnavailable(
        f"There is no room to write to {path}: the disk, a quota or a size limit is exhausted.",
        hint="Make room and try again; nothing was changed, and reading goes on.",
    )
