"""Completion of what a person begins to type: prompts' arguments, and parts of resources' URIs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import mcp.types as types

from khive_supervisor.errors import KhiveError
from khive_supervisor.verbs.registry import Answer
from khive_workers.mcp.resources import Run

#: Values of an answer: the protocol's own limit.
MOST = 100

#: By reference and argument: the verb that knows the values, its arguments, and where they stand.
Source = tuple[str, Mapping[str, object], Callable[[Answer], Iterable[str]]]


def _names(field: str, name: str) -> Callable[[Answer], Iterable[str]]:
    """Return what takes a field of each of an answer's rows."""
    return lambda answer: (
        str(row[name]) for row in cast("list[Mapping[str, object]]", answer.get(field, []))
    )


_TAGS: Source = (
    "memory.tags", {"limit": 500}, lambda answer: cast("Mapping[str, int]", answer["tags"])
)  # fmt: skip
_PROJECTS: Source = ("projects.list", {}, _names("projects", "name"))
_PROFILES: Source = ("brain.profiles", {}, _names("profiles", "name"))
_IDS: Source = ("memory.list", {"in": "all", "limit": 500}, _names("entries", "id"))
_PARTS: Source = ("system.catalog", {}, lambda answer: answer.keys() - {"version", "form"})
SOURCES: Mapping[tuple[str, str], Source] = {
    ("recall", "tag"): _TAGS,
    ("review", "tag"): _TAGS,
    ("review", "project"): _PROJECTS,
    ("khive://memory/{id}", "id"): _IDS,
    ("khive://profiles/{name}", "name"): _PROFILES,
    ("khive://catalog/{part}", "part"): _PARTS,
}


class Completions:
    """Answers completion/complete by the verbs that know what there is."""

    def __init__(self, run: Run) -> None:
        self._run = run

    async def on_complete(
        self, ctx: Any, params: types.CompleteRequestParams
    ) -> types.CompleteResult:
        """Return what begins as it was typed; nothing where nothing is known."""
        ref = params.ref
        of = ref.name if isinstance(ref, types.PromptReference) else ref.uri
        source = SOURCES.get((of, params.argument.name))
        found = await self._values(ctx, source) if source else []
        typed = params.argument.value.casefold()
        fit = [value for value in found if value.casefold().startswith(typed)]
        completion = types.Completion(values=fit[:MOST], total=len(fit), has_more=len(fit) > MOST)
        return types.CompleteResult(completion=completion)

    async def _values(self, ctx: Any, source: Source) -> list[str]:
        verb, arguments, values = source
        try:
            answer = await self._run(verb, dict(arguments), ctx)
        except KhiveError:  # a pack that is not there, or is not for it: nothing is known
            return []
        return list(dict.fromkeys(values(answer)))
