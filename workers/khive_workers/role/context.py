"""What a Python handler is given with its payload: the task, and the memory that all share."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from khive_supervisor.access import decide
from khive_supervisor.budgets import usage as used
from khive_supervisor.budgets.pricing import PriceList
from khive_supervisor.config.settings.model import Config
from khive_supervisor.embed.factory import for_worker
from khive_supervisor.errors import CandidateUnavailable
from khive_supervisor.packs import loading
from khive_supervisor.projects import identity
from khive_supervisor.tasks.model import PROGRESS_LIMIT, Claim, Usage
from khive_supervisor.text.plain_json import JsonObject
from khive_supervisor.verbs.context import Context, SessionInfo
from khive_supervisor.verbs.registry import Registry


class Memory:
    """The verbs, for one role worker; nothing is opened before a handler asks for something.

    Used from the handler's thread alone, with a connection of its own.
    """

    def __init__(
        self,
        config: Config,
        socket_path: str | None,
        make_registry: Callable[[], Registry] = loading.load,
    ) -> None:
        self._config = config
        self._socket_path = socket_path
        self._make_registry = make_registry
        self._registry: Registry | None = None
        self._context: Context | None = None

    def call(self, claim: Claim, verb: str, args: JsonObject) -> JsonObject:
        """Run a verb in the task's namespace, in the name of the role."""
        if self._registry is None:
            self._registry = self._make_registry()
        if self._context is None:
            self._context = self._open()
        granted = decide.of_task(self._config, claim.namespace, claim.cwd)
        self._context.grant = replace(granted, owners=(f"task-{claim.id}",))
        self._context.session = SessionInfo(
            id=f"task-{claim.id}",
            namespace=claim.namespace or None,
            actor=claim.role,
            cwd=claim.directory or claim.cwd,
            project=identity.from_dict(claim.project),
            kind="task",
            role=claim.role,
        )
        return dict(self._registry.call(self._context, verb, args))

    def _open(self) -> Context:
        path = self._socket_path
        make: Callable[[], Any] = lambda: (  # noqa: E731 - one expression, bound late
            for_worker(self._config.embedder, path) if path else None
        )
        return Context(self._config, SessionInfo(), socket_path=path, make_embedder=make)


class TaskContext:
    """One task, as its handler sees it."""

    def __init__(
        self,
        claim: Claim,
        memory: Memory,
        wake: Callable[[], None],
        prices: PriceList | None = None,
    ) -> None:
        self.task_id = claim.id
        self.role = claim.role
        self.task_type = claim.task_type
        #: Which attempt this is, from 1; a task may have been tried before.
        self.attempt = claim.attempts
        self.payload = claim.payload
        #: What was tried before on tasks like this one, as text, if the role's history asks for it.
        self.history = claim.history
        #: Where the task is done, by the role's workdir. The process itself stays where it is.
        self.workdir = claim.directory or os.getcwd()
        #: Set when the task is to stop: it was cancelled, or its time is over.
        self.cancelled = threading.Event()
        self._claim = claim
        self._memory = memory
        self._wake = wake
        self._prices = prices or PriceList()
        self._said: str | None = None
        self._used: Usage | None = None
        self._adding = threading.Lock()

    def call(self, verb: str, **args: Any) -> JsonObject:
        """Run any verb: `context.call("memory.get", ids=["m1"])`; raises KhiveError."""
        return self._memory.call(self._claim, verb, args)

    def recall(self, query: str, **args: Any) -> list[JsonObject]:
        """Find memories: `memory.recall`'s results."""
        return list(self.call("memory.recall", query=query, **args)["results"])

    def search(self, query: str, **args: Any) -> list[JsonObject]:
        """Find learned knowledge: `knowledge.search`'s results."""
        return list(self.call("knowledge.search", query=query, **args)["results"])

    def remember(self, content: str, **args: Any) -> str:
        """Store a memory for everybody; its id."""
        return str(self.call("memory.remember", content=content, **args)["id"])

    def spend(
        self,
        cost: float = 0.0,
        tokens: int = 0,
        *,
        model: str = "",
        input_tokens: int = 0,
        cached_tokens: int = 0,
        output_tokens: int = 0,
    ) -> None:
        """Say what was just used, in dollars and tokens; all of it together counts for the role.

        A model's tokens (of input, those that were cached apart) cost what `[[prices]]` says, if no
        cost is said here. It counts with the attempt, whatever comes of that; raises InvalidInput
        (a KhiveError) for what is no amount.
        """
        said = used.usage_of_model(
            cost,
            tokens,
            model,
            input_tokens=input_tokens,
            cached_tokens=cached_tokens,
            output_tokens=output_tokens,
        )
        more = self._prices.priced(said)
        with self._adding:
            self._used = used.plus(self._used or Usage(), more)

    @property
    def used(self) -> Usage | None:
        """Return all that was said to be used; None: nothing was said."""
        return self._used

    def unavailable(self, why: str, retry_after: float | None = None) -> CandidateUnavailable:
        """Return what to raise where the task could not be begun, and nothing was changed.

        `raise context.unavailable("429", retry_after=20)`: another candidate of the role takes its
        place; without one, or in a role without candidates, the attempt fails.
        """
        return CandidateUnavailable(why, retry_after=retry_after)

    def progress(self, text: str) -> None:
        """Say how far this is; the last of what is said in a quarter of a second is stored."""
        self._said = str(text)[:PROGRESS_LIMIT]
        self._wake()

    def take_progress(self) -> str | None:
        """Return what was said since the last time; for the worker's loop."""
        said, self._said = self._said, None
        return said
