"""What `connect` does about a client's hooks, and what it says about them."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass

from khive_supervisor.cli.clients.clients import FileOutcome
from khive_supervisor.cli.clients.hooks import (
    HOOK_CLIENTS,
    HookClient,
    present_hooks,
    remove_hooks,
    wanted_hooks,
    write_hooks,
)
from khive_supervisor.cli.clients.plugin_file import (
    PLUGIN_CLIENTS,
    PluginClient,
    present_plugin,
    remove_plugin,
    wanted_plugin,
    write_plugin,
)
from khive_supervisor.errors import InvalidInput

#: Clients that have hooks, by name: those with settings for them, and those that load a program.
HOOKED: Mapping[str, HookClient | PluginClient] = {**HOOK_CLIENTS, **PLUGIN_CLIENTS}

#: What whoever switches hooks on should know before anything is kept.
KEPT = (
    """\
Kept from now on, in your store on this machine alone: your prompts, paths of edited files, \
commands with their exit codes, errors, and last answers. Secrets are masked and <private> spans \
are cut out before anything is written. The journal is deleted after 90 days (journal.keep); what \
became a memory stays until you forget it.""",
    """\
Put into sessions: at most 400 tokens at the start, 300 at a prompt, and none when nothing fits \
(hooks.start_tokens, hooks.prompt_tokens).""",
    """\
Switch it off: `khive-supervisor capture off` (keeps nothing), `connect {client} --no-hooks` (no \
hooks at all); `khive-supervisor purge` removes what was kept.""",
)


@dataclass(frozen=True, slots=True)
class HookChange:
    """What is to become of the hooks of a client.

    Attributes:
        client: whose they are; None: nothing is to be done.
        wanted: True to have them, False to have none, None to bring up to date what is there.
    """

    client: HookClient | PluginClient | None = None
    wanted: bool | None = None

    @classmethod
    def asked(cls, client: str, hooks: bool | None, *, elsewhere: bool, remove: bool) -> HookChange:
        """Return what the options of `connect` ask for.

        `elsewhere`: they are about a project's file, or one that is named.

        Raises:
            InvalidInput: that client has no hooks, or they would be in a repository.
        """
        found = HOOKED.get(client)
        if hooks and found is None:
            raise InvalidInput(
                f"Hooks are not known of {client}.", hint=f"They are of {', '.join(HOOKED)}."
            )
        if hooks and elsewhere:
            raise InvalidInput(
                "Hooks are written to your own settings, never to a project's or another file.",
                hint="Leave out --project and --config, or --hooks.",
            )
        if found is None or elsewhere:
            return cls()
        return cls(found, False if remove else hooks)

    def apply(self, argv: list[str], env: Mapping[str, str]) -> list[FileOutcome]:
        """Do it, with the command line of `khive-supervisor hook`; returns what was done."""
        client = self.client
        if client is None:
            return []
        file = client.file(os.environ)
        if self.wanted is False:
            outcome = _removed(client, file)
            return [] if outcome.action == "absent" else [outcome]
        if self.wanted is None and not _is_there(client, file):
            return []
        outcome = _written(client, file, argv, env)
        said = [text.format(client=client.name) for text in KEPT] if self.wanted else []
        return [dataclasses.replace(outcome, notes=(client.after, *said))]


def _is_there(client: HookClient | PluginClient, file: str) -> bool:
    if isinstance(client, PluginClient):
        return bool(present_plugin(file))
    return bool(present_hooks(file))


def _written(
    client: HookClient | PluginClient, file: str, argv: list[str], env: Mapping[str, str]
) -> FileOutcome:
    if isinstance(client, PluginClient):
        return write_plugin(client, file, wanted_plugin(client, argv, env))
    return write_hooks(client, file, wanted_hooks(client, argv, env))


def _removed(client: HookClient | PluginClient, file: str) -> FileOutcome:
    if isinstance(client, PluginClient):
        return remove_plugin(client, file)
    return remove_hooks(client, file)
