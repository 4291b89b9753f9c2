"""Any other agent: the prompt on its stdin, and what it prints is the answer."""

from __future__ import annotations

from khive_supervisor.agents.model import AgentAnswer, AgentOutput, Ask, Call, failed, shortened

NAME = "plain"
TITLE = "The agent"
#: Exits with these say "trying again cannot help", as those of commands.
PERMANENT = 125


def call(ask: Ask) -> Call:
    """Return its call: the role's prompt comes before the task's."""
    text = f"{ask.role.prompt}\n\n{ask.text}" if ask.role.prompt else ask.text
    return Call(ask.role.handler.agent[1:], text.encode("utf-8", "replace"))


def read(said: AgentOutput, counted: int) -> AgentAnswer:  # noqa: ARG001 - it counts nothing
    """Return what its result says, or what is wrong with it."""
    text = said.output.rstrip("\n")
    if said.code or not text.strip():
        return AgentAnswer(error=failed(TITLE, said), final=said.code == PERMANENT)
    return AgentAnswer(shortened(text))
