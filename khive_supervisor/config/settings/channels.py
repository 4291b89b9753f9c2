"""`[[channels]]`: who is told what happens, and how they are reached.

An address may be a secret by itself (whoever has it can write there), and so it is never shown:
`shown` says of what kind it is, and a reference to a variable as it is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import MISSING, dataclass
from functools import partial

from khive_supervisor.config.settings.notes import Notes, read_table, read_tables
from khive_supervisor.config.settings.values import Setting, declared, quoted, users_own
from khive_supervisor.text.plain_json import JsonObject

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0
#: Tables of one configuration; each has a task of its own in the notifier.
MAX_CHANNELS = 50
WEBHOOK, APPRISE, COMMAND, DESKTOP = KINDS = ("webhook", "apprise", "command", "desktop")
#: What is shown in place of a secret.
HIDDEN = "(not shown)"
_REFERENCE = r"\$\{[A-Za-z_][A-Za-z0-9_]*\}"
_NAME = r"[A-Za-z0-9_-]{1,64}"


@dataclass(frozen=True, slots=True)
class Channel:
    """Somebody who is told what happens: which events, when, and how they are reached."""

    name: str = users_own(
        MISSING,
        "text",
        "The name, by which `channels list`, `channels test` and `channels log` know it.",
        applies="identity",
        pattern=_NAME,
        form="letters, digits, - and _; 1 to 64 of them",
    )
    kind: str = users_own(
        MISSING,
        "text",
        "How it is reached: a signed HTTP request, one of apprise's services (Slack, Discord, "
        "Telegram, ntfy, e-mail and others), a command, or the desktop (`notify-send`).",
        applies="live",
        choices=KINDS,
    )
    url: str = users_own(
        "",
        "text",
        "The address of a webhook, or of a service as apprise writes it. `${NAME}` in it is the "
        "supervisor's environment variable of that name.",
        applies="live",
        bounds=(None, 2000),
        pattern=rf"({_REFERENCE}|[a-z][a-z0-9+.-]*://).*",
        form="such as https://host/path, ntfy://topic or ${NAME}",
        optional=True,
        private=True,
    )
    url_file: str = users_own(
        "",
        "path",
        "A file whose first line is the address, instead of url; read at each start and reload.",
        applies="live",
        optional=True,
    )
    secret: str = users_own(
        "",
        "text",
        "What a webhook's requests are signed with; as in url, `${NAME}` is a variable.",
        applies="live",
        bounds=(None, 500),
        optional=True,
        private=True,
    )
    secret_file: str = users_own(
        "",
        "path",
        "A file whose first line is the secret, instead of secret.",
        applies="live",
        optional=True,
    )
    command: tuple[str, ...] = users_own(
        (),
        "command",
        "A program and its arguments, started for each message without a shell; the message is "
        "on its stdin, as JSON.",
        applies="live",
        bounds=(1, 1000),
    )
    events: tuple[str, ...] = users_own(
        (),
        "list",
        "The kinds of events to tell of, such as `task.failed` or `task.*`; those that docs/"
        "channels.md lists as usual if none are given.",
        applies="live",
        bounds=(None, 100),
        pattern=r"[a-z]+\.([a-z_]+|\*)",
        form="each a kind, or a group with .*",
    )
    roles: tuple[str, ...] = users_own(
        (),
        "list",
        "Only events of these roles and of their tasks; events of no role are told all the same.",
        applies="live",
        bounds=(None, 100),
        pattern=_NAME,
        form="each the name of a role",
    )
    projects: tuple[str, ...] = users_own(
        (),
        "list",
        "Only events of these projects, by their names; events of no project are told all the "
        "same.",
        applies="live",
        bounds=(None, 100),
    )
    digest: float = users_own(
        0.0,
        "duration",
        "Gather what happens for so long, and tell it in one message; 0 tells it at once.",
        applies="live",
        bounds=(0, _DAY),
    )
    quiet: str = users_own(
        "",
        "text",
        "The hours in which nothing is sent, by this machine's clock; what happens then is told "
        "in one message at their end.",
        applies="live",
        pattern=r"([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9]",
        form='such as "22:00-07:00"',
        optional=True,
    )
    contents: bool = users_own(
        False,
        "boolean",
        "Tell errors and what a session was last asked, too, and not ids and titles alone.",
        applies="live",
    )
    timeout: float = users_own(
        10.0,
        "duration",
        "How long the receiver may take for one message.",
        applies="live",
        bounds=(0.1, 5 * _MINUTE),
    )
    attempts: int = users_own(
        12,
        "integer",
        "How often a message is tried before it is given up.",
        applies="live",
        bounds=(1, 1000),
    )
    give_up: float = users_own(
        _DAY,
        "duration",
        "How old a message may become before it is given up.",
        applies="live",
        bounds=(1, 30 * _DAY),
    )


def shown(setting: Setting, value: object) -> object:
    """Return a value as people may see it: of a secret its scheme, or the variable it is in."""
    if not setting.private or not isinstance(value, str) or not value:
        return value
    if re.fullmatch(_REFERENCE, value):
        return value
    scheme, found, _ = value.partition("://")
    return f"{scheme}://{HIDDEN}" if found and re.fullmatch(r"[a-z+]{1,20}", scheme) else HIDDEN


def values_of(channel: Channel, *, private: bool = False) -> Iterator[tuple[str, Setting, object]]:
    """Return each key with its declaration and value; secrets only if `private`."""
    for name, setting in declared(Channel).items():
        value = getattr(channel, name)
        yield name, setting, value if private else shown(setting, value)


def channel_as_dict(channel: Channel, *, private: bool = False) -> JsonObject:
    """Return the keys that are not at their default, as plain data that JSON can carry."""
    usual = Channel(name="", kind="")
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, _, value in values_of(channel, private=private)
        if value != getattr(usual, name)
    }


# --- reading --------------------------------------------------------------------------------------


def read_channels(content: object, notes: Notes) -> tuple[Channel, ...]:
    """Return the channels that are valid; whatever is not is noted."""
    found = read_tables("channels", "channel", MAX_CHANNELS, content, notes, partial(_read, notes))
    _note_same_names(found, notes)
    return tuple(channel for channel in found if channel is not None)


def _read(notes: Notes, place: str, content: object) -> Channel | None:
    channel = read_table(Channel, place, content, notes, required=("name", "kind"))
    if channel is None:
        return None
    if problem := _problem(channel):
        notes.note(place, place, problem)
        return None
    return channel


#: What a channel of each kind needs one of.
_NEEDS = {WEBHOOK: ("url", "url_file"), APPRISE: ("url", "url_file"), COMMAND: ("command",)}
#: What only some kinds can use.
_USES = {"url": (WEBHOOK, APPRISE), "secret": (WEBHOOK,), "command": (COMMAND,)}


def _problem(channel: Channel) -> str:
    """Return what does not go together in a channel; empty if all does."""
    needed = _NEEDS.get(channel.kind, ())
    given = [name for name in needed if getattr(channel, name)]
    if len(given) != 1 and needed:
        have = "both" if given else "neither" if len(needed) > 1 else "no"
        return f'has {have} {" and ".join(needed)}; kind = "{channel.kind}" needs one'
    if channel.secret and channel.secret_file:
        return "has both secret and secret_file; allowed: one of them"
    for name, kinds in _USES.items():
        file = getattr(channel, f"{name}_file", "")
        if channel.kind not in kinds and (getattr(channel, name) or file):
            return f'has {name}, which kind = "{channel.kind}" does not use'
    return _not_http(channel)


def _not_http(channel: Channel) -> str:
    written = channel.url and not channel.url.startswith(("http://", "https://", "${"))
    return "has a url that is not http(s)" if channel.kind == WEBHOOK and written else ""


def _note_same_names(channels: Iterable[Channel | None], notes: Notes) -> None:
    seen: dict[str, str] = {}
    for number, channel in enumerate(channels):
        key = f"channels[{number}].name"
        first = seen.setdefault(channel.name, key) if channel is not None else key
        if channel is not None and first != key:
            text = f"two channels of one name, {quoted(channel.name)}; the other is {first}"
            notes.note(key, key, f"{text} ({notes.where(first)})")
