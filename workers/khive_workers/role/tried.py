"""A handler that is told what was tried before on tasks like the one that it begins.

Goes around all other handlers of a role whose `history` asks for it. What cannot be found out is
left out: a task is never refused for it.
"""

from __future__ import annotations

from dataclasses import replace

from khive_supervisor import logs
from khive_supervisor.config.settings.roles import Role
from khive_supervisor.errors import KhiveError
from khive_supervisor.history import telling
from khive_supervisor.history.told import TriedTask, told
from khive_supervisor.tasks.model import Claim
from khive_supervisor.text.plain_json import JsonObject
from khive_workers.role.context import Memory
from khive_workers.role.handlers import AroundHandler, TaskHandler

log = logs.get("khive.role")

#: Characters of a prompt that are searched with.
_QUERY = 4_000


class WithHistory(AroundHandler):
    """Begins each task with what the history says of tasks like it."""

    def __init__(self, inner: TaskHandler, role: Role, memory: Memory) -> None:
        super().__init__(inner)
        self._role = role
        self._memory = memory

    def begin(self, claim: Claim) -> None:
        """Look what was tried, and begin with that."""
        self._inner.begin(replace(claim, history=self._told(claim)))

    def _told(self, claim: Claim) -> str:
        query = telling.prompt_in(claim.payload)[:_QUERY]
        if not query.strip():
            return ""
        asked = {"query": query, "limit": self._role.history}
        try:
            found = self._memory.call(claim, "history.similar", asked)["results"]
            tried = [self._tried(claim, one) for one in found]
        except KhiveError as error:
            log.warning("role.no_history", task=claim.id, error=str(error))
            return ""
        return told(tried, self._role.history_tokens)

    def _tried(self, claim: Claim, one: JsonObject) -> TriedTask:
        return TriedTask(
            one["outcome"],
            one["role"],
            one["prompt"],
            one.get("error") or one.get("answer", ""),
            tuple(one.get("files", ())),
            same=one.get("task") == f"t{claim.id}",
        )
