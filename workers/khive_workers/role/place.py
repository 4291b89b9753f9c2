"""Where a role's tasks are done, if not in its own directory: made before, tidied up after.

Goes around the handler that does the work. git or jj may take long, so it runs in a thread beside
the loop, which goes on holding the task and hears when it is to stop.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace

from khive_supervisor import logs
from khive_supervisor.errors import KhiveError, NoPlace
from khive_supervisor.tasks.model import CANCELLED, ERROR_LIMIT, FAILED, Claim, Outcome, Usage
from khive_supervisor.worktrees import place
from khive_supervisor.worktrees.place import Workspace
from khive_supervisor.worktrees.systems import WorktreeSystems
from khive_workers.role.handlers import AroundHandler, TaskHandler, Why, clip, described, failure

log = logs.get("khive.role")

#: Seconds that tidying up may take after a handler was stopped.
TIDY = 15.0


class PlaceHandler(AroundHandler):
    """Gives each task its directory, and leaves nothing behind that is empty."""

    def __init__(
        self,
        inner: TaskHandler,
        kind: str,
        vcs: str,
        top: str,
        environment: Mapping[str, str],
        wake: Callable[[], None],
    ) -> None:
        super().__init__(inner)
        self._kind = kind
        self._vcs = vcs
        self._top = top
        self._environment = environment
        self._wake = wake
        self._systems = WorktreeSystems(environment)
        self._claim: Claim | None = None
        self._place: Workspace | None = None
        #: True while the inner handler has the task.
        self._working = False
        self._why: Why | None = None
        self._entered: Workspace | KhiveError | OSError | None = None
        self._came: Outcome | None = None
        self._tidied: Outcome | None = None

    @property
    def tidies(self) -> float:
        """Return the seconds of the handler inside, and those of git or jj."""
        return self._inner.tidies + (0.0 if self._kind == "caller" else TIDY)

    def begin(self, claim: Claim) -> None:
        """Make the directory, then let the handler inside begin in it."""
        self._claim = claim
        self._working, self._why, self._place = False, None, None
        self._entered = self._came = self._tidied = None
        self._systems = WorktreeSystems(self._environment)
        if self._kind != "caller":
            self._beside(self._enter)
            return
        try:
            self._work(replace(claim, directory=place.callers(claim.cwd)))
        except NoPlace as error:
            self._came = self._tidied = _refused(error)

    def _beside(self, step: Callable[[], None]) -> None:
        def run() -> None:
            try:
                step()
            finally:
                self._wake()

        threading.Thread(target=run, name="place", daemon=True).start()

    def _enter(self) -> None:
        claim = self._claim
        assert claim is not None
        try:
            self._entered = place.enter(
                self._systems, self._top, claim.id, claim.role, self._kind, claim.cwd, self._vcs
            )
        except (KhiveError, OSError) as error:
            self._entered = error
        except Exception as error:  # noqa: BLE001 - a fault of ours must not leave the task held
            self._entered = KhiveError(f"The directory could not be made: {described(error)}")

    def _work(self, claim: Claim) -> None:
        self._working = True
        self._inner.begin(claim)

    # --- what came of it ------------------------------------------------------------------------

    def outcome(self) -> Outcome | None:
        """Return what came of it, once, when the directory is tidied up."""
        if self._entered is not None and not self._working:
            self._go_on(self._entered)
        if self._working:
            self._came = self._inner.outcome()
            if self._came is not None:
                self._working = False
                self._end(self._came)
        found, self._tidied = self._tidied, None
        return found

    def _go_on(self, entered: Workspace | KhiveError | OSError) -> None:
        self._entered = None
        if isinstance(entered, Workspace):
            self._place = entered
        if self._why is not None:
            self._end(Outcome(CANCELLED, error="cancelled"))
        elif isinstance(entered, Workspace):
            assert self._claim is not None
            self._work(replace(self._claim, directory=entered.directory))
        else:
            self._tidied = _refused(entered)

    def _end(self, came: Outcome) -> None:
        """Tidy up, unless it goes on: another attempt, or another worker that has it now."""
        if self._place is None:
            self._tidied = came
        else:
            self._beside(lambda: self._tidy(came))

    def _tidy(self, came: Outcome) -> None:
        left, claim = self._place, self._claim
        assert left is not None
        assert claim is not None
        goes_on = came.state == FAILED and not came.final and claim.attempts < claim.attempts_max
        systems = WorktreeSystems(self._environment)
        inside: Mapping[str, object] | None = None
        try:
            if self._why is not Why.LOST:
                inside = left.shown(systems) if goes_on else left.tidy(systems)
        except (KhiveError, OSError) as error:
            log.warning("role.not_tidied", task=claim.id, error=str(error))
            inside = {"kind": self._kind, "path": left.directory, "note": str(error)}
        except Exception as error:  # noqa: BLE001 - the outcome counts, whatever happened here
            log.error("role.not_tidied", task=claim.id, error=described(error))
        finally:
            left.leave()
            self._tidied = replace(came, place=inside)

    # --- the rest is the inner handler's ----------------------------------------------------------

    def progress(self) -> str | None:
        """Return what is new of how far it is; nothing before it has begun."""
        return self._inner.progress() if self._working else None

    def printed(self) -> str | None:
        """Return the end of what it has printed so far, if that is new."""
        return self._inner.printed() if self._working else None

    def used(self) -> Usage | None:
        """Return what the task has used; nothing before it has begun."""
        return self._inner.used() if self._working else None

    def stop(self, why: Why) -> None:
        """Stop the handler inside, or the checkout."""
        if self._why is None:
            self._why = why
        if self._working:
            self._inner.stop(why)
        else:
            self._systems.stop()

    def turn(self, now: float) -> float | None:
        """Do what has become due in the handler inside, once it has begun."""
        return self._inner.turn(now) if self._working else None

    def close(self) -> None:
        """End git or jj, close the handler inside; the directory's lock goes with the process."""
        self._systems.stop()
        self._inner.close()


def _refused(error: KhiveError | OSError) -> Outcome:
    outcome = failure(clip(str(error), ERROR_LIMIT))
    return replace(outcome, final=isinstance(error, NoPlace))
