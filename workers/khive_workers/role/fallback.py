"""Tasks that a claim gives to the role's fallback, since its budget is exceeded, go to a command.

Which command that is comes with each claim, so that a changed one is honoured at once.
"""

from __future__ import annotations

from collections.abc import Callable

from khive_supervisor.errors import KhiveError
from khive_supervisor.tasks.model import Claim, Outcome, Usage
from khive_workers.role.handlers import TaskHandler, Why, failure


class WithFallback:
    """The role's handler, and beside it a command for the tasks whose claims name one."""

    def __init__(
        self, handler: TaskHandler, make: Callable[[tuple[str, ...]], TaskHandler]
    ) -> None:
        self._handler = handler
        self._make = make
        self._at_work = handler
        self._command: tuple[tuple[str, ...], TaskHandler] | None = None
        self._refused: Outcome | None = None

    @property
    def ends(self) -> bool:
        """See `Handler`."""
        return self._at_work.ends

    @property
    def tidies(self) -> float:
        """See `Handler`."""
        return self._at_work.tidies

    def check(self) -> None:
        """See `Handler.check`; a fallback is not needed for the role to start."""
        self._handler.check()

    def begin(self, claim: Claim) -> None:
        """See `Handler.begin`."""
        self._at_work = self._handler
        if claim.fallback:
            try:
                self._at_work = self._fallback(claim.fallback)
            except (KhiveError, OSError) as error:
                self._refused = failure(f"The role's budget.fallback failed: {error}")
                return
        self._at_work.begin(claim)

    def _fallback(self, command: tuple[str, ...]) -> TaskHandler:
        """The handler of a command: the one before, unless the configuration has changed."""
        if self._command is None or self._command[0] != command:
            self._close_fallback()
            made = self._make(command)
            self._command = (command, made)
        found = self._command[1]
        found.check()  # each time: it is no reason to start anew that it was not there once
        return found

    def _close_fallback(self) -> None:
        if self._command is not None:
            self._command[1].close()
            self._command = None

    def outcome(self) -> Outcome | None:
        """See `Handler.outcome`."""
        if self._refused is not None:
            refused, self._refused = self._refused, None
            return refused
        return self._at_work.outcome()

    def progress(self) -> str | None:
        """See `Handler.progress`."""
        return self._at_work.progress()

    def used(self) -> Usage | None:
        """See `Handler.used`."""
        return self._at_work.used()

    def stop(self, why: Why) -> None:
        """See `Handler.stop`."""
        self._at_work.stop(why)

    def turn(self, now: float) -> float | None:
        """See `Handler.turn`."""
        return self._at_work.turn(now)

    def close(self) -> None:
        """See `Handler.close`."""
        self._close_fallback()
        self._handler.close()
