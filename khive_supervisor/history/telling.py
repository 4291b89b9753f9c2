"""What the entry of an attempt says, so that a search for a task like it finds it; pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from khive_supervisor.agents.model import prompt_of
from khive_supervisor.history.model import FILES_LIMIT, AttemptEnd

#: Characters of a title, of a prompt and of an error or answer that an entry says.
TITLE, PROMPT, CAME = 160, 8_000, 600
#: What stands before that error or answer.
CAME_OF = "came of it: "
#: Paths that an entry says; all of them are kept beside it.
PATHS = 20


def title_of(prompt: str, role: str) -> str:
    """Return the line that names an attempt: the first of its prompt that says anything."""
    lines = (" ".join(line.split()) for line in prompt.splitlines())
    return next((line for line in lines if line), f"a task of {role}")[:TITLE]


def content_of(prompt: str, end: AttemptEnd) -> str:
    """Return what the entry of an attempt says: what was asked, what was touched, what failed."""
    parts = [prompt[:PROMPT].strip()]
    if len(prompt) > PROMPT:
        parts.append(f"[{len(prompt) - PROMPT} more characters were asked]")
    if files := files_of(end.place):
        parts.append(f"edited: {', '.join(files[:PATHS])}")
    if came := (end.error or end.answer).strip():
        parts.append(f"{CAME_OF}{came[:CAME].strip()}")
    return "\n".join(part for part in parts if part)


def came_of(content: str) -> str:
    """Return the error or answer that the content of an entry says; empty without one."""
    return content.rpartition(f"\n{CAME_OF}")[2] if f"\n{CAME_OF}" in content else ""


def prompt_in(payload: object) -> str:
    """Return a task's payload as words."""
    return prompt_of(payload)


def digest_of(payload: str) -> str:
    """Return a digest of a payload's text: equal payloads have the same."""
    return hashlib.blake2b(payload.encode(), digest_size=8).hexdigest()


def tags_of(role: str, task_type: str) -> tuple[str, ...]:
    """Return the tags that an attempt is found by: whose it was, and of which type."""
    return (role_tag(role), *((type_tag(task_type),) if task_type else ()))


def role_tag(role: str) -> str:
    """Return the tag that all attempts of a role have."""
    return f"role:{role}"


def type_tag(task_type: str) -> str:
    """Return the tag that all attempts at tasks of a type have."""
    return f"type:{task_type}"


def source_of(past: bytes, task_id: int, token: int) -> str:
    """Return the name of an attempt that no other one has, in whatever store."""
    return f"attempt:{past[:4].hex()}:t{task_id}:{token}"


def files_of(place: Mapping[str, object] | None) -> tuple[str, ...]:
    """Return the paths that an attempt touched, as its place says."""
    touched = (place or {}).get("touched")
    if not isinstance(touched, Sequence) or isinstance(touched, str):
        return ()
    return tuple(str(path) for path in touched[:FILES_LIMIT])


def said_of(place: Mapping[str, object] | None, name: str) -> str:
    """Return a text of an attempt's place; empty if it is not known."""
    value = (place or {}).get(name)
    return value if isinstance(value, str) else ""
