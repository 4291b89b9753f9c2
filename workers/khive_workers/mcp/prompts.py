"""MCP prompts: what a person types as a command in a client, made of what verbs answer now."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import mcp.types as types
from mcp.shared.exceptions import MCPError

from khive_supervisor.access.grant import Grant
from khive_supervisor.errors import InvalidInput, KhiveError, NotFound
from khive_supervisor.text import wellformed
from khive_supervisor.text.plain_json import JsonObject
from khive_supervisor.verbs.registry import Registry
from khive_workers.mcp.resources import Run

#: Memories that a review shows at once.
REVIEWED = 20


@dataclass(frozen=True, slots=True)
class PromptSpec:
    """A prompt: its arguments with what each is, and whether it has to be given."""

    name: str
    description: str
    #: The verbs that it is made of, the first for sure: without it the prompt is not offered.
    verb: str
    arguments: Mapping[str, tuple[str, bool]]
    #: What the model is asked, around what the verb answers.
    ask: str

    def listed(self) -> types.Prompt:
        """Return it as a client lists it."""
        arguments = [
            types.PromptArgument(name=name, description=said, required=required)
            for name, (said, required) in self.arguments.items()
        ]
        return types.Prompt(
            name=self.name,
            title=self.description.rstrip("."),
            description=self.description,
            arguments=arguments,
        )


_TAG = ("Only what has this tag.", False)
PROMPTS = (
    PromptSpec(
        "brief",
        "What is known of this project.",
        "memory.brief",
        {},
        "Take this into account in what follows; it was stored in earlier sessions and may be "
        "outdated.",
    ),
    PromptSpec(
        "remember",
        "Keep a fact for later sessions, or what this conversation has brought.",
        "memory.remember",
        {"fact": ("What to keep; without it, what is worth it in this conversation.", False)},
        "Store each as one self-contained fact with memory_remember, and supersede what it "
        "replaces. Say in a line what you have stored.",
    ),
    PromptSpec(
        "recall",
        "What earlier sessions have stored about something.",
        "memory.recall",
        {"query": ("What you are looking for, in any words.", True), "tag": _TAG},
        "Answer from these memories, with their ids; say so where they do not tell.",
    ),
    PromptSpec(
        "review",
        "Go through what sessions may have decided, and through memories: keep, correct or drop.",
        "memory.list",
        {"project": ("Of this project; this one without it.", False), "tag": _TAG},
        "Go through these with me: say which are wrong, outdated, said twice or of no use, and ask "
        "before you change any. Use memory_supersede to correct one and memory_forget to take one "
        "out. Candidates are no memories yet, and only I decide on one: with "
        "`khive-supervisor review c1 --accept`, `--drop` or `--edit TEXT`.",
    ),
)


class Prompts:
    """The prompts of one worker: those whose verb exists for the client of a request."""

    def __init__(self, registry: Registry, run: Run, grant_of: Callable[[Any], Grant]) -> None:
        self._registry = registry
        self._run = run
        self._grant_of = grant_of
        self._made: Mapping[str, Callable[[JsonObject, Any], Awaitable[str]]] = {
            "brief": self._brief,
            "remember": self._remember,
            "recall": self._recall,
            "review": self._review,
        }

    async def on_list(self, ctx: Any, _params: Any) -> types.ListPromptsResult:
        """Answer prompts/list."""
        return types.ListPromptsResult(prompts=[one.listed() for one in self._of(ctx)])

    def _of(self, ctx: Any) -> list[PromptSpec]:
        verbs = {verb.name for verb in self._registry.within(self._grant_of(ctx))}
        return [prompt for prompt in PROMPTS if prompt.verb in verbs]

    async def on_get(self, ctx: Any, params: types.GetPromptRequestParams) -> types.GetPromptResult:
        """Answer prompts/get with one message of the user.

        Raises:
            MCPError: there is no such prompt, or its arguments are not those that it takes.
        """
        prompt = next((one for one in self._of(ctx) if one.name == params.name), None)
        if prompt is None:
            known = ", ".join(one.name for one in self._of(ctx))
            raise _refused(f"There is no prompt {params.name[:80]!r}. There are: {known}.")
        said = _checked(prompt, params.arguments or {})
        try:
            found = await self._made[prompt.name](said, ctx)
        except (NotFound, InvalidInput) as error:
            raise _refused(str(error)) from error
        except KhiveError as error:
            raise MCPError(types.INTERNAL_ERROR, wellformed.text(str(error))) from error
        text = wellformed.text(f"{found}\n\n{prompt.ask}")
        content = types.TextContent(type="text", text=text)
        message = types.PromptMessage(role="user", content=content)
        return types.GetPromptResult(description=prompt.description, messages=[message])

    async def _lines(self, verb: str, arguments: JsonObject, ctx: Any) -> str:
        answer = wellformed.data(await self._run(verb, arguments, ctx))
        as_text = self._registry.get(verb).as_text
        return as_text(answer) if as_text else json.dumps(answer, ensure_ascii=False)

    async def _brief(self, _said: JsonObject, ctx: Any) -> str:
        return await self._lines("memory.brief", {}, ctx)

    async def _remember(self, said: JsonObject, _ctx: Any) -> str:
        if fact := said.get("fact"):
            return f"Remember for later sessions: {fact}"
        return (
            "Go through this conversation for what a later session should know: decisions and "
            "their reasons, preferences of mine, fixes that took effort, where things are."
        )

    async def _recall(self, said: JsonObject, ctx: Any) -> str:
        tags = {"tags": [said["tag"]]} if "tag" in said else {}
        lines = await self._lines("memory.recall", {"query": said["query"], **tags}, ctx)
        return f"What earlier sessions have stored about: {said['query']}\n\n{lines}"

    async def _review(self, said: JsonObject, ctx: Any) -> str:
        tags = {"tags": [said["tag"]]} if "tag" in said else {}
        project = {"project": said["project"]} if "project" in said else {}
        asked = {"limit": REVIEWED, **project, **tags}
        memories = f"Memories to review:\n\n{await self._lines('memory.list', asked, ctx)}"
        candidates = "" if said else await self._candidates(ctx)
        return f"{candidates}{memories}"

    async def _candidates(self, ctx: Any) -> str:
        """Return what sessions may have decided, where there is any for the client."""
        if "review.list" not in {verb.name for verb in self._registry.within(self._grant_of(ctx))}:
            return ""
        lines = await self._lines("review.list", {"limit": REVIEWED}, ctx)
        return f"Candidates, found in sessions of this project:\n\n{lines}\n\n" if lines else ""


def _checked(prompt: PromptSpec, given: Mapping[str, str]) -> JsonObject:
    """Return the arguments that say something; raises MCPError for those that it does not take."""
    said = {name: value for name, value in given.items() if value.strip()}
    foreign = sorted(given.keys() - prompt.arguments.keys())
    missing = [
        name for name, (_, required) in prompt.arguments.items() if required and name not in said
    ]
    if foreign or missing:
        takes = ", ".join(prompt.arguments) or "no arguments"
        what = f"has no argument {foreign[0][:80]!r}" if foreign else f"needs {missing[0]}"
        raise _refused(f"The prompt {prompt.name} {what}. It takes: {takes}.")
    return said


def _refused(text: str) -> MCPError:
    return MCPError(types.INVALID_PARAMS, wellformed.text(text))
