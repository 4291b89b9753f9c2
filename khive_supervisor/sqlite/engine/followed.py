"""A connection to whatever database lies at a path: it follows when the files are replaced."""

from __future__ import annotations

import os
from collections.abc import Callable

import apsw

from khive_supervisor.errors import StoreError, StoreReplaced, StoreUnavailable
from khive_supervisor.sqlite.engine.errors import translated
from khive_supervisor.sqlite.engine.file_identity import OpenFiles, files_at, gone, replaced


class FollowedConnection:
    """What `Database` runs its statements on; a class above it, so that this costs no call more.

    The files are looked at before each use outside of a transaction, if there is a way to open
    what has come in their place.
    """

    def __init__(
        self,
        connection: apsw.Connection,
        path: str,
        reopen: Callable[[], apsw.Connection] | None,
    ) -> None:
        self.path = path
        self._connection: apsw.Connection | None = connection
        self._place = OpenFiles(path) if reopen is not None else None
        self._reopen = reopen
        #: The file is another one, and who writes has not been told.
        self._untold = False
        self._process = os.getpid()
        #: Commits of this connection, and changes from one file to another.
        self._own_commits = 0

    def _current(self, *, writes: bool = False) -> apsw.Connection:
        """Return the connection to what is at the path now.

        Raises:
            StoreReplaced: there is nothing, or what cannot be used; or another file, and this is
                the first that `writes` to it: what is to be written may make no sense there.
        """
        connection, place = self._open(), self._place
        if place is None or connection.in_transaction:
            return connection
        if place.replaced():
            self._follow(place)
            self._untold = True
        elif place.log_lost():
            self._save_log(connection, place)
        if writes and self._untold:
            self._untold = False
            raise replaced(self.path)
        return self._open()

    def _follow(self, place: OpenFiles) -> None:
        """Open what is at the path instead of what was there."""
        try:
            if not os.stat(self.path).st_size:
                raise replaced(self.path, "it is empty.")
        except FileNotFoundError:
            raise gone(self.path) from None
        self._swap(place)

    def _swap(self, place: OpenFiles) -> None:
        assert self._reopen is not None
        try:
            connection = self._reopen()
        except StoreError as error:
            raise replaced(self.path, str(error)) from error
        old, self._connection = self._connection, connection
        place.take()
        self._own_commits += 1
        if old is not None:
            old.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            old.close()

    def _save_log(self, connection: apsw.Connection, place: OpenFiles) -> None:
        """The log was removed while it is open: bring what is in it home, and begin another.

        All that had it open share it still, so the first to see this saves it for all. If another
        is in its place already, that has been done.
        """
        if files_at(self.path).log is None:
            try:
                connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_FULL)
            except apsw.Error as error:
                raise translated(error, self.path) from error
        self._swap(place)

    def _still_there(self) -> None:
        """What was committed is where it is looked for; raises StoreReplaced."""
        place = self._place
        if place is not None and (place.replaced() or place.log_lost()):
            raise StoreReplaced(
                f"The files of the database {self.path} were removed or replaced while this was "
                "written: it may be lost with them.",
                hint="Look before you repeat it.",
            )

    def _open(self) -> apsw.Connection:
        if self._connection is None:
            raise StoreError(f"The store {self.path} is closed.", hint="Open it again.")
        if os.getpid() != self._process:
            raise StoreError(
                f"The store {self.path} was opened before a fork, by process {self._process}.",
                hint="A process opens its own store; this is a defect, report it.",
            )
        return self._connection

    def _close(self) -> None:
        """Close it, unless another process has opened it; again is harmless.

        The last connection to close copies the log back and removes it, by its name: one of other
        files than those in their places leaves these alone.
        """
        connection, self._connection = self._connection, None
        if connection is None or os.getpid() != self._process:
            return
        place = self._place
        try:
            lost = place is not None and (place.replaced() or place.log_lost())
        except StoreUnavailable:
            lost = True
        try:
            if lost:
                connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            connection.close()
        except apsw.Error as error:
            raise translated(error, self.path) from error
