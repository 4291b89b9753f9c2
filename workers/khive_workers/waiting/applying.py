"""Making waiting calls again, in their order, each once and in the name of who made it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import cast

from khive_supervisor import logs
from khive_supervisor.config.settings.model import Config
from khive_supervisor.control.requests import SessionRequest
from khive_supervisor.errors import KhiveError, TeamAway
from khive_supervisor.packs.batch.running import BatchCall, PreparedEmbedder
from khive_supervisor.store.team.waiting import WaitingStore
from khive_supervisor.team.waiting import (
    MOST_ATTEMPTS,
    CallerData,
    CallFate,
    WaitingCall,
    fate,
)
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import BATCH, Registry
from khive_workers.common.link import make_context

log = logs.get("khive.waiting")

#: Callers whose connections to the store are kept open.
_CONTEXTS = 4


class CallerContexts:
    """What calls are made with: a context for each caller, the last few of them open."""

    def __init__(self, make: Callable[[CallerData], Context]) -> None:
        self._make = make
        self._open: list[tuple[CallerData, Context]] = []

    def of(self, caller: CallerData) -> Context:
        """Return the context of a caller."""
        for known, context in self._open:
            if known == caller:
                return context
        if len(self._open) >= _CONTEXTS:
            self._open.pop(0)[1].close()
        context = self._make(caller)
        self._open.append((caller, context))
        return context

    def close(self) -> None:
        """Close all of them."""
        while self._open:
            self._open.pop()[1].close()


def caller_context(config: Config, caller: CallerData, socket_path: str | None) -> Context:
    """Return the context of who made a call: with the rights, the names and the project of then."""
    request = cast("SessionRequest", caller["request"])
    context = make_context(config, request, socket_path)
    context.client = (caller["client"][0], caller["client"][1])
    context.session = replace(context.session, project_name=caller["project_name"])
    return context


class CallApplier:
    """Applies what waits.

    Args:
        waiting: where the calls are.
        registry: the verbs.
        contexts: gives the context of a caller.
        tell: is told how many were applied and put aside so far.
    """

    def __init__(
        self,
        waiting: WaitingStore,
        registry: Registry,
        contexts: CallerContexts,
        tell: Callable[[int, int], None],
    ) -> None:
        self._waiting = waiting
        self._registry = registry
        self._contexts = contexts
        self._tell = tell
        self.applied = self.put_aside = 0

    def run(self) -> bool:
        """Apply calls until none waits, or one is to be tried later; return False then."""
        done: int | None = None
        while (call := self._waiting.first(done)) is not None:
            done = None
            match self._tried(call):
                case CallFate.DONE:
                    done = call.number
                    self.applied += 1
                case CallFate.ASIDE:
                    self.put_aside += 1
                case CallFate.LATER:
                    return False
            self._tell(self.applied, self.put_aside)
        return True

    def _tried(self, call: WaitingCall) -> CallFate:
        """Make a call; what becomes of it is written down, but for the end of one that is done."""
        if call.attempts > MOST_ATTEMPTS:
            why = f"Each of {MOST_ATTEMPTS} attempts ended the process that made it."
            self._write_down(call, CallFate.ASIDE, why)
            return CallFate.ASIDE
        try:
            self._make(call)
        except KhiveError as error:
            away = isinstance(error, TeamAway)
            found = fate(call.attempts, retryable=error.retryable, away=away)
            log.info("waiting.failed", number=call.number, verb=call.said.verb, error=str(error))
            self._write_down(call, found, str(error), away=away)
            return found
        except Exception as error:  # noqa: BLE001 - a verb's defect must not stop those behind it
            log.error("waiting.crashed", number=call.number, error=repr(error))
            self._write_down(call, CallFate.ASIDE, f"It failed unexpectedly: {error!r}.")
            return CallFate.ASIDE
        return CallFate.DONE

    def _write_down(
        self, call: WaitingCall, found: CallFate, error: str, *, away: bool = False
    ) -> None:
        if found is CallFate.ASIDE:
            self._waiting.put_aside(call.number, error)
        elif away:
            self._waiting.put_back(call.number)

    def _make(self, call: WaitingCall) -> None:
        """Make a call in a transaction that notes it as made; nothing is done if it was before."""
        said = call.said
        context = self._contexts.of(said.caller)
        calls = _parts(said.verb, said.arguments)
        prepared = PreparedEmbedder.of(context, calls)
        waiting = context.whole_store.waiting
        with context.within_batch(prepared, _unheard), waiting.applying(call) as made_at:
            if made_at is not None:
                context.now = lambda: made_at
                self._registry.call(context, said.verb, said.arguments)


def _parts(verb: str, arguments: dict[str, object]) -> list[BatchCall]:
    """Return a call as those that it is made of."""
    if verb == BATCH:
        return cast("list[BatchCall]", arguments["calls"])
    return [BatchCall(verb=verb, args=arguments)]


def _unheard(_hint: object) -> None:
    """Do nothing: the supervisor sees what was committed by itself."""
