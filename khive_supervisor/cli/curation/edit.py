"""edit: correct an entry in an editor."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from collections.abc import Mapping

import click

from khive_supervisor.cli.commands.memory import superseded_text
from khive_supervisor.cli.connection.session import Invocation, common_options
from khive_supervisor.errors import InvalidInput, KhiveError
from khive_supervisor.verbs.forms import entry_id

#: Asked one after another, as git and others do.
_EDITORS = ("VISUAL", "EDITOR")
_FALLBACK = "vi"


@click.command()
@click.argument("entry")
@common_options
def edit(run: Invocation, entry: str) -> None:
    """Correct the memory ENTRY in $VISUAL or $EDITOR; what you save supersedes it."""
    entries = run.ask("memory.get", ids=[entry])["entries"]
    if not entries:
        entry_id(entry)  # which says why it cannot be corrected yet
    (found,) = entries
    text = edited(found["content"], os.environ)
    if not text.strip() or text.strip() == found["content"].strip():
        run.emit({"id": entry, "status": "unchanged"}, lambda _: f"{entry} stays as it is.")
        return
    run.show("memory.supersede", superseded_text, id=entry, content=text.strip("\n"))


def edited(text: str, environment: Mapping[str, str]) -> str:
    """Return what a text has become in the user's editor; the file is theirs alone, and removed.

    Raises:
        KhiveError: the editor failed or is not there; what was written is lost with the file.
        InvalidInput: the file is not UTF-8.
    """
    named = (environment.get(name, "") for name in _EDITORS)
    command = next(filter(None, named), _FALLBACK)
    with tempfile.TemporaryDirectory(prefix="khive-edit-") as folder:
        path = os.path.join(folder, "memory.md")
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(text.encode())
        _run([*shlex.split(command), path])
        return _read(path)


def _run(words: list[str]) -> None:
    try:
        code = subprocess.run(words, check=False).returncode
    except OSError as error:
        raise KhiveError(
            f"The editor {words[0]} could not be started: {error.strerror}.",
            hint="Set EDITOR to one that is there.",
        ) from None
    if code:
        raise KhiveError(
            f"The editor {words[0]} ended with {code}; nothing was changed.",
            hint="Save and leave it without an error, or use `khive-supervisor supersede`.",
        )


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return file.read()
    except UnicodeDecodeError:
        raise InvalidInput("What was saved is not UTF-8; nothing was changed.") from None


COMMANDS = (edit,)
