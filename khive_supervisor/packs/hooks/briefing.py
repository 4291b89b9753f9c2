"""The brief of the session's project for whoever asks: @-mentions and prompts of clients."""

from __future__ import annotations

from khive_supervisor.access.grant import Audience
from khive_supervisor.packs.hooks.starting import brief
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Answer, Arguments, Verb


def answer(context: Context, _args: Arguments) -> Answer:
    """Return what a session is told at its start, whether or not it was."""
    text = brief(context, context.config.hooks.start_tokens)
    return {"brief": text or "Nothing is stored for this project."}


def answer_text(found: Answer) -> str:
    """Return the brief alone."""
    return str(found["brief"])


BRIEF = Verb(
    "memory.brief",
    "Tell what is known of this project in a few lines, as sessions are told at their start.",
    answer,
    as_text=answer_text,
    read_only=True,
    audience=Audience.AGENT,
)
