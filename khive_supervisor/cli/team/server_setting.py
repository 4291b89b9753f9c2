"""`store.url` in the user's configuration: written and taken out, every other line as it was."""

from __future__ import annotations

import os

import tomlkit
from tomlkit.exceptions import TOMLKitError

from khive_supervisor.cli.connection.trust import users_file
from khive_supervisor.config.load import LoadedConfig, load
from khive_supervisor.errors import InvalidInput
from khive_supervisor.host import paths
from khive_supervisor.host.durable import write_private


def put(config_file: str | None, url: str) -> str:
    """Have the user's configuration name a server, or none if `url` is empty; return the file.

    Raises:
        InvalidInput: the file cannot be changed, or is no configuration then.
    """
    file = users_file(config_file)
    try:
        text = changed(_read(file), url)
        paths.make_private_directory(os.path.dirname(file))
        write_private(file, text.encode())
    except (OSError, ValueError, AttributeError, TypeError, TOMLKitError) as error:
        raise InvalidInput(
            f"{file} could not be changed: {error}.",
            hint=f"Write it yourself: url = {url!r} below [store].",
        ) from None
    return file


def changed(text: str, url: str) -> str:
    """Return a configuration that names a server, or none if `url` is empty.

    The blank line before a table that was added goes with it.
    """
    document = tomlkit.parse(text)
    store = document.setdefault("store", tomlkit.table())
    if url:
        store["url"] = url
        return tomlkit.dumps(document)
    store.pop("url", None)
    if store:
        return tomlkit.dumps(document)
    document.remove("store")
    rest = tomlkit.dumps(document)
    return rest[:-1] if rest.endswith("\n\n") else rest


def _read(file: str) -> str:
    try:
        with open(file, encoding="utf-8") as found:
            return found.read()
    except FileNotFoundError:
        return ""


def in_force(config_file: str | None) -> LoadedConfig:
    """Return the configuration as it is now in the files and the environment."""
    return load(config_file, paths.working_directory(), os.environ)
