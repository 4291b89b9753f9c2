"""http info, http token: what an HTTP client needs to know."""

from __future__ import annotations

import click

from khive_supervisor.access import tokens
from khive_supervisor.cli.connection.finding import control, socket_of
from khive_supervisor.cli.connection.permission import operators_only
from khive_supervisor.cli.connection.session import Invocation, common_options, loaded
from khive_supervisor.cli.render.answers import Shown
from khive_supervisor.config.settings.values import quoted
from khive_supervisor.errors import Denied, NotFound
from khive_supervisor.host.paths import http_token_file


@click.group()
def http() -> None:
    """MCP and the operator's routes over HTTP: where they are, and the token."""


@http.command("info")
@common_options
def info(run: Invocation) -> None:
    """Show the URL, and the file that the token is in."""
    with control(run.config_file) as client:
        answer = client.request("status").get("http")
    if answer is None:
        raise Denied(
            "Where HTTP is served is not told to a command of a confined session.",
            hint="Run it in a terminal of your own.",
        )
    run.emit(answer, _text)


def _text(answer: Shown) -> str:
    if answer["state"] == "off":
        return (
            "HTTP is off. Set http.enabled = true and start the supervisor again; "
            "`start --http` serves it once."
        )
    lines = [f"state  {answer['state']}", f"url    {answer['url'] or 'none'}"]
    lines.append(f"token  in {answer['token_file']}")
    if answer["problem"]:
        lines.append(f"       {answer['problem']}")
    if answer["url"]:
        lines += ["", *_clients(answer["url"])]
    return "\n".join(lines)


def _clients(url: object) -> list[str]:
    header = '"Authorization: Bearer $(khive-supervisor http token)"'
    return [
        f"curl -H {header} {url}/status",
        f"claude mcp add --transport http khive {url}/mcp --header {header}",
    ]


@http.command("token")
@click.option("--namespace", help="The token of clients that see this namespace alone.")
@common_options
def token(run: Invocation, namespace: str | None) -> None:
    """Print the token itself, for scripts; whoever has it can do all that you can here.

    With --namespace, whoever has it sees that namespace and nothing else: a [[confine]] table
    has to name it.
    """
    operators_only(run.config_file, "http token")
    if namespace is not None:
        _check_namespace(namespace, run.config_file)
    path = http_token_file(socket_of(run.config_file))
    found = _read(path)
    if namespace is not None:
        found = tokens.confined(found, namespace)
    run.emit({"token": found, "file": path}, lambda answer: str(answer["token"]))


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
    except OSError as error:
        raise NotFound(
            f"There is no token at {path}: {error.strerror}.",
            hint="It is made when HTTP is served: http.enabled = true, or `start --http`.",
        ) from error


def _check_namespace(namespace: str, config_file: str | None) -> None:
    """Refuse a namespace that no table names: tasks given with the token would not be confined."""
    tables = loaded(config_file).config.confine
    if any(table.namespace == namespace for table in tables):
        return
    known = ", ".join(dict.fromkeys(table.namespace for table in tables)) or "none"
    raise NotFound(
        f"No [[confine]] table names the namespace {namespace!r}.",
        hint=f"There are: {known}. Add a table with namespace = {quoted(namespace)} to your "
        "configuration and reload; it needs no path.",
    )


COMMANDS = (http,)
