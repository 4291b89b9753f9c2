"""Making waiting calls again, in their order, each once and in the name of who made it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import cast

from khive_supervisor import logs
from khive_supervisor.audit import actors
from khive_supervisor.config.settings.model import Config
from khive_supervisor.control.requests import SessionRequest
from khive_supervisor.embed.base import Embedder
from khive_supervisor.errors import KhiveError, OutcomeUnknown, StoreUnavailable, TeamAway
from khive_supervisor.packs.batch.running import BatchCall, PreparedEmbedder
from khive_supervisor.sqlite.opening import open_store
from khive_supervisor.store.interface import Store
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

#: Writes that are made in one transaction: the whole team waits for it meanwhile.
TOGETHER = 50
#: Callers whose contexts are kept.
_CONTEXTS = 32


class CallerContexts:
    """What calls are made with: a context for each of the last callers, all with one store."""

    def __init__(self, config: Config, socket_path: str | None) -> None:
        self._config = config
        self._socket_path = socket_path
        self._known: list[tuple[CallerData, Context]] = []
        self._actor = ""
        self.store: Store = open_store(config, guarded=False, actor=lambda: self._actor)

    def of(self, caller: CallerData) -> Context:
        """Return the context of a caller, with the rights, the names and the project of then."""
        found = next((one for known, one in self._known if known == caller), None)
        if found is None:
            del self._known[: 1 - _CONTEXTS]
            found = self._made(caller)
            self._known.append((caller, found))
        self._actor = actors.session(found.session.id, found.session.actor)
        return found

    def _made(self, caller: CallerData) -> Context:
        request = cast("SessionRequest", caller["request"])
        context = make_context(self._config, request, self._socket_path)
        context.use(self.store)
        context.client = (caller["client"][0], caller["client"][1])
        context.session = replace(context.session, project_name=caller["project_name"])
        return context

    def close(self) -> None:
        """Close the store."""
        self.store.close()


class CallApplier:
    """Applies what waits.

    Args:
        contexts: gives the context of a caller, and has the store.
        registry: the verbs.
        tell: is told how many were applied and put aside so far.
    """

    def __init__(
        self, contexts: CallerContexts, registry: Registry, tell: Callable[[int, int], None]
    ) -> None:
        self._contexts = contexts
        self._waiting = contexts.store.waiting
        self._registry = registry
        self._tell = tell
        self.applied = self.put_aside = 0
        #: Why the last attempt that is to be repeated failed.
        self.problem = ""

    def run(self) -> bool:
        """Apply calls until none waits, or one is to be tried later; return False then."""
        done: list[int] = []
        while calls := self._waiting.begin(TOGETHER, done):
            done = []
            try:
                done = self._apply(calls)
            except KhiveError as error:
                if not self._failed(calls, error):
                    self.problem = str(error)
                    return False
            self.applied += len(done)
            self._tell(self.applied, self.put_aside)
        return True

    def _apply(self, calls: Sequence[WaitingCall]) -> list[int]:
        """Make calls in one transaction; return the numbers of those that are done.

        Raises:
            KhiveError: none was made.
        """
        if calls[0].attempts > MOST_ATTEMPTS:
            why = f"Each of {MOST_ATTEMPTS} attempts ended the process that made it."
            self._set_aside(calls[0], why)
            return []
        if calls[0].said.unclear and self._waiting.stored(calls[0]):
            return [calls[0].number]
        prepared = [self._embedded(call) for call in calls]
        with self._waiting.applying(calls) as before:
            made = [
                call.number in before or self._make(call, embedder)
                for call, embedder in zip(calls, prepared, strict=True)
            ]
        return [call.number for call, done in zip(calls, made, strict=True) if done]

    def _embedded(self, call: WaitingCall) -> Embedder | None:
        """Return an embedder that has the vectors of a call's texts: none is made with the lock."""
        context = self._contexts.of(call.said.caller)
        return PreparedEmbedder.of(context, _parts(call.said.verb, call.said.arguments))

    def _make(self, call: WaitingCall, embedder: Embedder | None) -> bool:
        """Make a call; return False if it was put aside.

        Raises:
            StoreUnavailable: none of the transaction can be done now.
        """
        said, context = call.said, self._contexts.of(call.said.caller)
        try:
            with self._waiting.making(call) as made_at, context.within_batch(embedder, _unheard):
                context.now = lambda: made_at
                self._registry.call(context, said.verb, said.arguments)
        except StoreUnavailable:
            raise
        except KhiveError as error:
            self._set_aside(call, str(error))
            return False
        except Exception as error:  # noqa: BLE001 - a verb's defect must not stop those behind it
            self._set_aside(call, f"It failed unexpectedly: {error!r}.")
            return False
        return True

    def _failed(self, calls: Sequence[WaitingCall], error: KhiveError) -> bool:
        """Note that none of some calls could be made; return whether to go on.

        What several are refused together is tried for each alone.
        """
        # What the server was lost with is known to be over, if it is, when it is back.
        away = isinstance(error, TeamAway | OutcomeUnknown)
        if away:
            self._waiting.put_back([call.number for call in calls])
        if len(calls) > 1:
            return not away
        (call,) = calls
        if fate(call.attempts, retryable=error.retryable, away=away) is CallFate.LATER:
            return False
        self._set_aside(call, str(error))
        return True

    def _set_aside(self, call: WaitingCall, error: str) -> None:
        """Before the transaction ends that says that the call is over."""
        log.warning("waiting.put_aside", number=call.number, verb=call.said.verb, error=error)
        self._waiting.put_aside(call.number, error)
        self.put_aside += 1


def _parts(verb: str, arguments: dict[str, object]) -> list[BatchCall]:
    """Return a call as those that it is made of."""
    if verb == BATCH:
        return cast("list[BatchCall]", arguments["calls"])
    return [BatchCall(verb=verb, args=arguments)]


def _unheard(_hint: object) -> None:
    """Do nothing: the supervisor sees what was committed by itself."""
