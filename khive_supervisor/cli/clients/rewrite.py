"""Replace a small file that others write: whole or not at all, never over their changes."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass

from khive_supervisor.errors import KhiveError
from khive_supervisor.host import durable
from khive_supervisor.host.small_file import read_regular

#: Bytes of the largest file that is edited; clients keep history in some of theirs.
MAX_BYTES = 64 * 1024 * 1024
#: Seconds after which another program's lock directory counts as left behind, and to wait for it.
LOCK_STALE, LOCK_WAIT = 10.0, 3.0
BACKUP_SUFFIX = ".khive-backup"


@dataclass(frozen=True, slots=True)
class Original:
    """A file as it was read: where it really is, its bytes (None: no file), and its mode."""

    target: str
    data: bytes | None
    mode: int

    @property
    def text(self) -> str:
        """The content; empty when there is no file.

        Raises:
            KhiveError: it is not UTF-8.
        """
        try:
            return (self.data or b"").decode("utf-8")
        except UnicodeDecodeError:
            raise _refused(self.target, "it is not UTF-8") from None


def read(path: str, *, new_mode: int = 0o600) -> Original:
    """The file that a path leads to, through symbolic links; it need not exist.

    Raises:
        KhiveError: it is not a regular file, too large, or cannot be read.
    """
    target = os.path.realpath(path)
    try:
        data, status = read_regular(target, MAX_BYTES)
    except FileNotFoundError:
        return Original(target, None, new_mode)
    except OSError as error:
        raise _refused(target, error.strerror or str(error)) from None
    return Original(target, data, stat.S_IMODE(status.st_mode))


def replace(original: Original, text: str, *, backup: bool = True) -> str | None:
    """Put `text` in the place of what was read; returns the backup's path if one was made now.

    Others write the file: when it changed since it was read, nothing is written. `backup` False:
    none is made.

    Raises:
        KhiveError: it changed meanwhile, is locked, or cannot be written; it is as it was.
    """
    target = original.target
    try:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with _locked(target):
            temporary = _write_beside(original, text.encode("utf-8"))
            try:
                if read(target, new_mode=original.mode).data != original.data:
                    raise _refused(target, "another program changed it meanwhile")
                kept = _backup(original) if backup else None
                os.replace(temporary, target)
            except BaseException:
                os.unlink(temporary)
                raise
            durable.sync(os.path.dirname(target))
            return kept
    except OSError as error:
        raise _refused(target, error.strerror or str(error)) from None


def backup_of(original: Original) -> Original | None:
    """The copy that the first change of a file has left, if it is still there."""
    found = read(original.target + BACKUP_SUFFIX)
    return None if found.data is None else found


def take_back(original: Original, text: str, edit: Callable[[str], str]) -> None:
    """Put a file as it was before our edit in the place of what that made of it; else `text`.

    `edit` makes of a text what it is with what we have added; it raises ValueError if it cannot.
    A file that was not there before is removed.
    """
    backup = backup_of(original)
    before = backup.text if backup is not None else ""
    try:
        only_ours = edit(before) == original.text
    except ValueError:
        only_ours = False
    if not only_ours:
        replace(original, text, backup=False)
    elif backup is None:
        remove(original)
    else:
        replace(original, before, backup=False)
        remove(backup)


def remove(original: Original) -> None:
    """Remove a file that is still as it was read, and its directory if nothing else is in it.

    Raises:
        KhiveError: it changed meanwhile, is locked, or cannot be removed.
    """
    target = original.target
    try:
        with _locked(target):
            if read(target).data != original.data:
                raise _refused(target, "another program changed it meanwhile")
            os.unlink(target)
        with contextlib.suppress(OSError):
            os.rmdir(os.path.dirname(target))
    except OSError as error:
        raise _refused(target, error.strerror or str(error)) from None


def _write_beside(original: Original, data: bytes) -> str:
    name = f".{os.path.basename(original.target)}.khive-{os.getpid()}"
    temporary = os.path.join(os.path.dirname(original.target), name)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary)  # left behind by a killed process that had our id
    _create(temporary, data, original)
    return temporary


def _create(path: str, data: bytes, like: Original) -> None:
    """Write a new file with the mode and, where allowed, the owner of another; durable."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fchmod(descriptor, like.mode)
            if like.data is not None:
                _keep_owner(descriptor, like.target)
            os.fsync(descriptor)
    except BaseException:
        os.unlink(path)
        raise


def _keep_owner(descriptor: int, target: str) -> None:
    status = os.stat(target)
    if os.geteuid() == 0 and status.st_uid != 0:
        os.fchown(descriptor, status.st_uid, status.st_gid)


def _backup(original: Original) -> str | None:
    if original.data is None:
        return None
    path = original.target + BACKUP_SUFFIX
    try:
        _create(path, original.data, original)
    except FileExistsError:
        return None  # the first one shows the file as it was before any of our changes
    return path


@contextlib.contextmanager
def _locked(
    target: str,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> Generator[None, None, None]:
    """Hold the lock that Claude Code uses on its files, a directory `FILE.lock`."""
    lock = target + ".lock"
    deadline = clock() + LOCK_WAIT
    while not _make_lock(lock):
        if clock() >= deadline:
            raise _refused(target, f"another program holds {lock}")
        pause(0.05)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.rmdir(lock)


def _make_lock(lock: str) -> bool:
    try:
        os.mkdir(lock)
    except FileExistsError:
        with contextlib.suppress(OSError):
            if time.time() - os.stat(lock).st_mtime > LOCK_STALE:
                os.rmdir(lock)
        return False
    return True


def _refused(path: str, why: str) -> KhiveError:
    return KhiveError(
        f"{path} was not changed: {why}.",
        hint="Try again, or make the change by hand; with --print, `connect` shows the entry.",
    )
