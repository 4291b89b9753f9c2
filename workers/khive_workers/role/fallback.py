"""Tasks that a claim gives to the role's fallback, since its budget is exceeded, go to a command.

Which command that is comes with each claim, so that a changed one is honoured at once.
"""

from __future__ import annotations

from collections.abc import Callable

from khive_supervisor.errors import KhiveError
from khive_supervisor.tasks.model import Claim, Outcome
from khive_workers.role.handlers import AroundHandler, TaskHandler, failure


class WithFallback(AroundHandler):
    """The role's handler, and beside it a command for the tasks whose claims name one."""

    def __init__(
        self, handler: TaskHandler, make: Callable[[tuple[str, ...]], TaskHandler]
    ) -> None:
        super().__init__(handler)
        self._own = handler
        self._make = make
        self._command: tuple[tuple[str, ...], TaskHandler] | None = None
        self._refused: Outcome | None = None

    def check(self) -> None:
        """Raise BootFailure if the role's own handler can do nothing; a fallback may be missing."""
        self._own.check()

    def begin(self, claim: Claim) -> None:
        """Start with a task, in the handler of the command that its claim names, if any."""
        self._inner = self._own
        if claim.fallback:
            try:
                self._inner = self._fallback(claim.fallback)
            except (KhiveError, OSError) as error:
                self._refused = failure(f"The role's budget.fallback failed: {error}")
                return
        self._inner.begin(claim)

    def _fallback(self, command: tuple[str, ...]) -> TaskHandler:
        """Return the handler of a command: the one before, unless the configuration has changed."""
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
        """Return what came of it, once; a failure if the command could not be started."""
        if self._refused is not None:
            refused, self._refused = self._refused, None
            return refused
        return self._inner.outcome()

    def close(self) -> None:
        """Close both handlers."""
        self._close_fallback()
        self._own.close()
