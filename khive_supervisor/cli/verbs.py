"""call and verbs: every verb there is, also those of other packs; completion for the shell."""

from __future__ import annotations

import json

import click
from click.shell_completion import get_completion_class

from khive_supervisor.cli.connection.session import config_option, verbs
from khive_supervisor.cli.render.output import as_json_option, emit, table
from khive_supervisor.errors import InvalidInput
from khive_supervisor.text.plain_json import JsonObject


@click.command()
@click.argument("verb")
@click.argument("arguments", nargs=-1)
@config_option
def call(verb: str, arguments: tuple[str, ...], config_file: str | None) -> None:
    """Run any VERB with ARGUMENTS of the form key=value; prints JSON.

    A value that is JSON is taken as such (limit=3, tags='["a"]'); anything else is text.
    """
    with verbs(config_file) as (session, *_):
        emit(session.request(verb, parse_arguments(arguments)), True, str)


def parse_arguments(arguments: tuple[str, ...]) -> JsonObject:
    """key=value words as arguments.

    Raises:
        InvalidInput: a word without a name and `=`.
    """
    parsed: JsonObject = {}
    for word in arguments:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise InvalidInput(f"{word!r} is not key=value.", hint="For example limit=3.")
        try:
            parsed[name] = json.loads(value)
        except (ValueError, RecursionError):
            parsed[name] = value
    return parsed


@click.command("verbs")
@click.argument("name", required=False)
@as_json_option
def list_verbs(name: str | None, as_json: bool) -> None:
    """List all verbs, or show the arguments of one."""
    from khive_supervisor.packs import loading  # slow to import, and `call` does without

    registry = loading.load()
    if name:
        verb = registry.get(name)
        shown = {"verb": verb.name, "summary": verb.summary, "arguments": verb.input_schema}
        emit(shown, as_json, lambda s: json.dumps(s, indent=2))
        return
    rows = [(verb.name, verb.summary) for verb in registry]
    emit(dict(rows), as_json, lambda _: table(("verb", "what it does"), rows))


@click.command()
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
def completion(shell: str) -> None:
    """Print the completion script of a shell: eval "$(khive-supervisor completion bash)"."""
    kind = get_completion_class(shell)
    assert kind is not None
    group = click.get_current_context().find_root().command
    click.echo(kind(group, {}, "khive-supervisor", "_KHIVE_SUPERVISOR_COMPLETE").source())


COMMANDS = (call, list_verbs, completion)
