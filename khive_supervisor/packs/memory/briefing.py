"""What is known of the session's project, in a few lines: for @-mentions and prompts of clients."""

from __future__ import annotations

from khive_supervisor.access.grant import Audience
from khive_supervisor.briefing import tokens
from khive_supervisor.store.curation import ListedEntry, Listing
from khive_supervisor.verbs import belonging, forms
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Answer, Arguments, Verb

#: Entries that are looked at, characters of each, and tokens of them together.
LOOKED_AT, CHARACTERS, BUDGET = 40, 300, 400


def brief(context: Context, budget: int = BUDGET) -> str:
    """Return what is pinned and the newest memories, a line each, within so many tokens."""
    listing = Listing(forms.entry_filter(context, {}, "memory"))
    found = context.store.lists.page(listing, LOOKED_AT)
    named = belonging.labels(context, [one.entry for one in found], {})
    lines: list[str] = []
    for one in found:
        line = _line(one, named.get(one.entry.id))
        if tokens.bound("\n".join([*lines, line])) > budget:
            break
        lines.append(line)
    return "\n".join(lines) or "Nothing is stored for this project."


def _line(one: ListedEntry, project: str | None) -> str:
    entry = one.entry
    head = [forms.show_id(entry.collection, entry.id), forms.timestamp(entry.created_at)[:10]]
    head += [f"of {project}"] if project else []
    head += ["pinned"] if one.pinned_at is not None else []
    text = " ".join(entry.content.split())
    return " ".join([*head, text[:CHARACTERS] + ("..." if len(text) > CHARACTERS else "")])


def answer(context: Context, _args: Arguments) -> Answer:
    """Return the brief of the session's project."""
    family = context.project
    return {"brief": brief(context), **({"project": family.name} if family else {})}


def answer_text(found: Answer) -> str:
    """Return a brief under the name of its project."""
    name = found.get("project")
    return f"What is known of {name}:\n{found['brief']}" if name else str(found["brief"])


BRIEF = Verb(
    "memory.brief",
    "Tell what is known of this project in a few lines: what is pinned, and the newest.",
    answer,
    as_text=answer_text,
    read_only=True,
    quick=True,
    audience=Audience.AGENT,
)
