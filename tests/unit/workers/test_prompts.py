"""Prompts and completion: made of what verbs answer, and refused in words that say what to do."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import mcp.types as types
import pytest
from khive_workers.mcp import completion, prompts
from khive_workers.mcp.completion import Completions
from khive_workers.mcp.prompts import PROMPTS, Prompts
from khive_workers.mcp.resources import SOURCES
from mcp.shared.exceptions import MCPError

from khive_supervisor.access.grant import AGENT
from khive_supervisor.errors import KhiveError, NotFound, StoreUnavailable
from khive_supervisor.packs import loading
from khive_supervisor.verbs.registry import Pack, Registry, Verb

REGISTRY = loading.load()
ENTRY = {"id": "m1", "created_at": "2026-11-29T10:00:00Z", "content": "tea", "kind": "semantic"}
RESULT = {"id": "m1", "created_at": "2026-11-29", "content": "tea", "score": 0.9}
CANDIDATE = {
    "id": "c1", "at": "2026-11-29T10:00:00Z", "kind": "decision", "said_by": "user",
    "text": "Tea at\n four.",
}  # fmt: skip
ANSWERS: dict[str, Mapping[str, Any]] = {
    "memory.brief": {"brief": "m1 2026-11-29 tea"},
    "memory.recall": {"results": [RESULT], "served_by": {"serve": "s"}},
    "memory.list": {"entries": [{**ENTRY, "namespace": "default"}], "total": 1},
    "review.list": {"candidates": [CANDIDATE]},
    "memory.tags": {"tags": {"deploy": 3, "Design": 2, "tea": 1}},
    "projects.list": {"projects": [{"name": "alpha"}, {"name": "beta"}, {"name": "alpha"}]},
    "brain.profiles": {"profiles": [{"name": "team"}]},
}


class Asked:
    """The verbs that were run, and what they answer."""

    def __init__(self, fails: KhiveError | None = None) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.fails = fails

    async def run(self, name: str, arguments: dict[str, Any], _ctx: Any) -> Mapping[str, Any]:
        self.calls.append((name, arguments))
        if self.fails is not None:
            raise self.fails
        return ANSWERS[name]


def prompts_of(asked: Asked, registry: Registry = REGISTRY) -> Prompts:
    return Prompts(registry, asked.run, lambda _ctx: AGENT)


def got(name: str, arguments: dict[str, str] | None = None, asked: Asked | None = None) -> str:
    params = types.GetPromptRequestParams(name=name, arguments=arguments)
    made = prompts_of(asked or Asked())
    (message,) = asyncio.run(made.on_get(None, params)).messages
    assert message.role == "user"
    assert isinstance(message.content, types.TextContent)
    return message.content.text


def test_prompts_are_listed_with_their_arguments() -> None:
    listed = asyncio.run(prompts_of(Asked()).on_list(None, None)).prompts
    assert [one.name for one in listed] == ["brief", "remember", "recall", "review"]
    needed = {(p.name, a.name) for p in listed for a in p.arguments or () if a.required}
    assert needed == {("recall", "query")}
    assert all(one.description for one in listed)


def test_a_prompt_without_its_verb_is_not_offered() -> None:
    verb = Verb("memory.brief", "Tells.", lambda _c, _a: {})
    made = prompts_of(Asked(), Registry([Pack("memory", "Some.", (verb,))]))
    assert [one.name for one in asyncio.run(made.on_list(None, None)).prompts] == ["brief"]
    with pytest.raises(MCPError, match="There are: brief"):
        asyncio.run(made.on_get(None, types.GetPromptRequestParams(name="recall")))


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("brief", None, "m1 2026-11-29 tea"),
        ("remember", {"fact": "The tea is hot."}, "Remember for later sessions: The tea is hot."),
        ("remember", {"fact": "  "}, "Go through this conversation"),
        ("recall", {"query": "tea"}, "about: tea\n\nm1 2026-11-29 tea"),
        ("review", {}, "m1 2026-11-29 tea\n1 of 1"),
        ("review", {}, "c1 2026-11-29 decision, said by user: Tea at four.\n\nMemories"),
    ],
)
def test_a_prompt_is_what_is_known_and_what_is_asked(
    name: str, arguments: dict[str, str] | None, says: str
) -> None:
    text = got(name, arguments)
    assert says in text
    assert text.endswith(next(one.ask for one in PROMPTS if one.name == name))


def test_a_prompt_passes_on_what_it_was_given() -> None:
    asked = Asked()
    got("recall", {"query": "tea", "tag": "deploy"}, asked)
    got("review", {"project": "alpha", "tag": "deploy"}, asked)
    reviewed = {"limit": prompts.REVIEWED, "project": "alpha", "tags": ["deploy"]}
    assert asked.calls == [
        ("memory.recall", {"query": "tea", "tags": ["deploy"]}),
        ("memory.list", reviewed),
    ]


@pytest.mark.parametrize(
    ("name", "arguments", "why"),
    [
        ("dance", {}, "There is no prompt 'dance'. There are: brief, remember, recall, review."),
        ("recall", {}, "The prompt recall needs query. It takes: query, tag."),
        ("recall", {"query": " "}, "needs query"),
        ("brief", {"x": "y"}, "has no argument 'x'. It takes: no arguments."),
    ],
)
def test_what_is_no_prompt_is_refused(name: str, arguments: dict[str, str], why: str) -> None:
    with pytest.raises(MCPError, match=why) as refused:
        got(name, arguments)
    assert refused.value.error.code == types.INVALID_PARAMS


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NotFound("There is no project 'x'."), types.INVALID_PARAMS),
        (StoreUnavailable("The store is busy."), types.INTERNAL_ERROR),
    ],
)
def test_what_a_verb_says_is_said(error: KhiveError, code: int) -> None:
    with pytest.raises(MCPError, match=error.message) as refused:
        got("review", {"project": "x"}, Asked(error))
    assert refused.value.error.code == code


def completed(
    ref: types.PromptReference | types.ResourceTemplateReference,
    name: str,
    typed: str,
    asked: Asked | None = None,
) -> types.Completion:
    argument = types.CompletionArgument(name=name, value=typed)
    params = types.CompleteRequestParams(ref=ref, argument=argument)
    made = Completions((asked or Asked()).run)
    return asyncio.run(made.on_complete(None, params)).completion


PROMPT, TEMPLATE = types.PromptReference, types.ResourceTemplateReference


@pytest.mark.parametrize(
    ("ref", "name", "typed", "values"),
    [
        (PROMPT(type="ref/prompt", name="recall"), "tag", "de", ["deploy", "Design"]),
        (PROMPT(type="ref/prompt", name="review"), "project", "", ["alpha", "beta"]),
        (PROMPT(type="ref/prompt", name="recall"), "query", "te", []),
        (PROMPT(type="ref/prompt", name="dance"), "tag", "", []),
        (TEMPLATE(type="ref/resource", uri="khive://memory/{id}"), "id", "m", ["m1"]),
        (TEMPLATE(type="ref/resource", uri="khive://profiles/{name}"), "name", "x", []),
    ],
)
def test_what_begins_as_typed_is_offered(
    ref: types.PromptReference | types.ResourceTemplateReference,
    name: str,
    typed: str,
    values: list[str],
) -> None:
    found = completed(ref, name, typed)
    assert (found.values, found.total, found.has_more) == (values, len(values), False)


def test_no_more_values_than_the_protocol_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    tags = {f"t{number}": 1 for number in range(300)}
    monkeypatch.setitem(ANSWERS, "memory.tags", {"tags": tags})
    found = completed(PROMPT(type="ref/prompt", name="recall"), "tag", "t")
    assert (len(found.values), found.total, found.has_more) == (completion.MOST, 300, True)


def test_nothing_is_offered_where_the_verb_is_not_for_it() -> None:
    ref = PROMPT(type="ref/prompt", name="recall")
    assert completed(ref, "tag", "", Asked(NotFound("There is no verb."))).values == []


def test_every_source_completes_what_is_there() -> None:
    arguments = {(one.name, name) for one in PROMPTS for name in one.arguments}
    templates = {(s.uri, s.uri.partition("{")[2][:-1]) for s in SOURCES if s.is_template}
    assert set(completion.SOURCES) <= arguments | templates
    assert templates <= set(completion.SOURCES)
    for verb, given, _ in completion.SOURCES.values():
        assert given.keys() <= REGISTRY.get(verb).properties.keys()
