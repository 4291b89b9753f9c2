"""Every error that a person or an agent can meet, with one root.

An error says what happened and why (the message) and what to do next (the hint). `code` is a
stable token for programs; `retryable` says whether the same call can succeed later unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from khive_supervisor import exitcodes
from khive_supervisor.text import wellformed


class KhiveError(Exception):
    """The root of all errors that leave this project on purpose."""

    code: ClassVar[str] = "internal"
    exit_code: ClassVar[int] = exitcodes.FAILURE
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, hint: str = "") -> None:
        self.message = wellformed.text(message)
        self.hint = wellformed.text(hint)
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()

    def as_dict(self) -> dict[str, Any]:
        """The form in which errors cross process borders."""
        return {
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "retryable": self.retryable,
        }


class InvalidInput(KhiveError):
    """Arguments that a verb does not take; nothing was changed."""

    code = "invalid_input"
    exit_code = exitcodes.USAGE


class SecretFound(InvalidInput):
    """A text holds what must not be kept; nothing was stored. It names places, never a value."""

    code = "secret_found"


class NotFound(KhiveError):
    """Something was named that does not exist."""

    code = "not_found"


class Denied(KhiveError):
    """The configuration does not allow this."""

    code = "denied"


class ConfigError(KhiveError):
    """The configuration is invalid: all problems at once, each with its file and key."""

    code = "config_invalid"
    exit_code = exitcodes.CONFIG
    #: What each problem begins with.
    MARK: ClassVar[str] = "\n  - "

    def __init__(self, problems: Sequence[str], *, hint: str = "") -> None:
        count = len(problems)
        head = "1 problem" if count == 1 else f"{count} problems"
        super().__init__(
            f"The configuration has {head}:" + "".join(self.MARK + p for p in problems), hint=hint
        )
        self.problems = tuple(problems)


class StoreError(KhiveError):
    """The store could not do what was asked; nothing was changed."""

    code = "store_error"


class StoreRefused(StoreError):
    """The store will not be opened as it is; the file was left untouched."""

    code = "store_refused"
    exit_code = exitcodes.STORE_REFUSED


class StoreUnavailable(StoreError):
    """The store cannot be written now (disk full, read-only, busy); nothing was changed."""

    code = "store_unavailable"
    exit_code = exitcodes.TEMPORARY
    retryable = True


class TeamAway(StoreUnavailable):
    """The team's server cannot be asked now, and nothing was handed to it: nothing was stored."""


class OutcomeUnknown(StoreUnavailable):
    """Whoever was to store this was lost meanwhile: it was stored, or not; a look will tell.

    Attributes:
        number, nonce: of the change in the team's log that it is, if it was stored.
    """

    code = "outcome_unknown"
    exit_code = exitcodes.FAILURE
    retryable = False

    def __init__(
        self, message: str, *, hint: str = "", number: int = 0, nonce: bytes = b""
    ) -> None:
        super().__init__(message, hint=hint)
        self.number, self.nonce = number, nonce


class StoreReplaced(StoreError):
    """The database that was open is not the one at its path: deleted, or replaced."""

    code = "store_replaced"
    exit_code = exitcodes.TEMPORARY
    retryable = True


class BudgetExceeded(KhiveError):
    """A role has spent what it may, until a window ends or its limit is raised."""

    code = "budget_exceeded"
    exit_code = exitcodes.TEMPORARY
    retryable = True


class IndexFileError(KhiveError):
    """A generation file is missing, truncated, damaged or foreign."""

    code = "index_damaged"


class EmbedderUnavailable(KhiveError):
    """No embedding can be had now; search goes on with full text."""

    code = "embedder_unavailable"
    exit_code = exitcodes.TEMPORARY
    retryable = True


class ProtocolError(KhiveError):
    """The other side sent something that is not the protocol."""

    code = "protocol_error"


class VersionMismatch(ProtocolError):
    """The two sides are of different releases that cannot talk to each other."""

    code = "version_mismatch"
    exit_code = exitcodes.VERSION_MISMATCH
    #: What the other side's hello wanted to be, so that it can be told in its own form.
    kind = ""


class NotRunning(KhiveError):
    """There is no supervisor at the socket."""

    code = "not_running"
    exit_code = exitcodes.NOT_RUNNING
    retryable = True


class OtherStore(NotRunning):
    """There is a supervisor at the socket, and it is that of another store."""

    code = "other_store"


class Unresponsive(KhiveError):
    """A supervisor has the store and does not answer: it is stopped, hangs, or only just starts."""

    code = "unresponsive"
    exit_code = exitcodes.UNRESPONSIVE
    retryable = True


class AlreadyRunning(KhiveError):
    """Another supervisor owns the store or the socket."""

    code = "already_running"
    exit_code = exitcodes.ALREADY_RUNNING


class BootFailure(KhiveError):
    """A process could not start, and starting it again unchanged will not help."""

    code = "boot_failure"
    exit_code = exitcodes.BOOT_FAILURE


class StagingFailed(KhiveError):
    """New workers of a role could not be made ready; the old ones, if there are any, serve on."""

    code = "staging_failed"


class RoleFailed(KhiveError):
    """A role is down until somebody mends it; its tasks wait."""

    code = "role_failed"
    exit_code = exitcodes.BOOT_FAILURE


class CandidateUnavailable(KhiveError):
    """A candidate of a role could not begin its task, and has changed nothing.

    A role's function raises it so that another candidate takes its place.
    """

    code = "candidate_unavailable"
    exit_code = exitcodes.TEMPORARY

    def __init__(self, message: str, *, hint: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class VcsFailed(KhiveError):
    """A version control program could not do what was asked; the message has its own words."""

    code = "vcs_failed"


class GitFailed(VcsFailed):
    """git could not do what was asked; the message has its own words."""

    code = "git_failed"


class JjFailed(VcsFailed):
    """jj could not do what was asked; the message has its own words."""

    code = "jj_failed"


class NoPlace(KhiveError):
    """A task cannot be done where its role wants it done; no further attempt can mend that."""

    code = "no_place"


class InUse(KhiveError):
    """Another process is at work in a task's directory."""

    code = "in_use"
    exit_code = exitcodes.TEMPORARY
    retryable = True


_BY_CODE: dict[str, type[KhiveError]] = {
    kind.code: kind
    for kind in (
        InvalidInput, NotFound, Denied, StoreError, StoreRefused, StoreUnavailable,
        IndexFileError, EmbedderUnavailable, ProtocolError, VersionMismatch, NotRunning,
        AlreadyRunning, BootFailure, StagingFailed, VcsFailed, GitFailed, JjFailed, NoPlace, InUse,
        BudgetExceeded, OtherStore, Unresponsive, StoreReplaced, RoleFailed, SecretFound,
        CandidateUnavailable,
    )
}  # fmt: skip


def from_dict(data: dict[str, Any]) -> KhiveError:
    """Rebuild an error that crossed a process border; an unknown code becomes the root."""
    code, message = str(data.get("code")), str(data.get("message", "unknown error"))
    hint = str(data.get("hint", ""))
    if code == ConfigError.code:
        return ConfigError(message.split(ConfigError.MARK)[1:], hint=hint)
    return _BY_CODE.get(code, KhiveError)(message, hint=hint)
