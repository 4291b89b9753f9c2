"""profiles, profile, feedback, bind and the like: the brain verbs as short commands."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click
from click.shell_completion import CompletionItem

from khive_supervisor import exitcodes
from khive_supervisor.cli.connection.finding import socket_of
from khive_supervisor.cli.connection.session import (
    Invocation,
    common_options,
    loaded,
    verbs,
    without_none,
)
from khive_supervisor.cli.options.numbers import WholeNumber
from khive_supervisor.cli.render import profile_text as text
from khive_supervisor.cli.render.answers import Shown
from khive_supervisor.control.client import ControlClient
from khive_supervisor.errors import KhiveError
from khive_supervisor.host import paths
from khive_supervisor.profiles.model import PRIORITY_LIMIT
from khive_supervisor.profiles.names import LIFECYCLES
from khive_supervisor.profiles.signals import RATINGS, WEIGHTS

Command = Callable[..., Any]


# --- arguments and options ------------------------------------------------------------------------


def complete_name(
    context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """The profiles whose names begin so; none when no supervisor runs: a tab starts nothing."""
    fields = {"pid": os.getpid(), "cwd": paths.working_directory(), "env": {}}
    with contextlib.suppress(KhiveError, OSError):
        path = socket_of(context.params.get("config_file"))
        with ControlClient(path, "verbs", **fields) as client:
            found = client.request("brain.profiles")["profiles"]
        return [
            CompletionItem(one["name"], help=one.get("description"))
            for one in found
            if one["name"].startswith(incomplete)
        ]
    return []


def name_argument(*, required: bool = True) -> Callable[[Command], Command]:
    """The NAME of a profile, completed by the shell."""
    return click.argument("name", required=required, shell_complete=complete_name)


def whom_options(function: Command) -> Command:
    """The three fields of a binding."""
    for option in (
        click.option("--kind", "consumer_kind", help="recall, search, or another pack's kind."),
        click.option("--namespace", help="In which namespace (* in a binding: in all)."),
        click.option("--actor", help="Who asks, as KHIVE_ACTOR says (* in a binding: everybody)."),
    ):
        function = option(function)
    return function


def parse_seeds(
    _context: click.Context, _parameter: click.Parameter, words: tuple[str, ...]
) -> dict[str, dict[str, float]] | None:
    """WEIGHT=ALPHA,BETA words as priors; the verb checks the numbers."""
    seeds = {}
    for word in words:
        weight, _, pair = word.partition("=")
        try:
            alpha, beta = map(float, pair.split(","))
        except ValueError:
            raise click.BadParameter(f"{word!r} is not like relevance=7,3.") from None
        if weight not in WEIGHTS:
            raise click.BadParameter(f"{weight!r} is none of {', '.join(WEIGHTS)}.")
        seeds[weight] = {"alpha": alpha, "beta": beta}
    return seeds or None


# --- looking --------------------------------------------------------------------------------------


@click.command()
@click.option("--lifecycle", type=click.Choice(LIFECYCLES), help="Only these.")
@common_options
def profiles(run: Invocation, lifecycle: str | None) -> None:
    """List all profiles with what they have learned."""
    with verbs(run.config_file) as (session, *_):
        answer = session.request("brain.profiles", without_none({"lifecycle": lifecycle}))
        bound = session.request("brain.bindings")["bindings"]
    counts = Counter(binding["profile"] for binding in bound)
    shown = [{**one, "bindings": counts[one["name"]]} for one in answer["profiles"]]
    run.emit({**answer, "profiles": shown}, text.profiles_text)


@click.command()
@name_argument()
@click.option("--watch", "-w", is_flag=True, help="Show it again at each change, until Ctrl-C.")
@click.option("--targets", "-n", type=WholeNumber(0, 100), help="How many entries (10).")
@common_options
def profile(run: Invocation, name: str, watch: bool, targets: int | None) -> None:
    """Show one profile: what it learned, and whom it serves.

    With --watch, a terminal is drawn anew at each change; anything else gets a line for it (with
    --json, a JSON document on a line).
    """
    wanted = without_none({"name": name, "targets": targets})
    if not watch:
        run.show("brain.profile", text.profile_text, **wanted)
        return
    from khive_supervisor.cli.commands.profile_watch import follow
    from khive_supervisor.sqlite.opening import open_store  # slow to import

    # Ctrl-C is how this is meant to end, also before there is anything to see.
    with contextlib.suppress(KeyboardInterrupt), verbs(run.config_file) as (session, *_):
        session.request("brain.profile", wanted)  # an unknown name is an error, not a long wait
        with open_store(loaded(run.config_file).config) as store:
            follow(store, lambda: session.request("brain.profile", wanted), run.as_json)


@click.command()
@name_argument(required=False)
@whom_options
@common_options
def bindings(run: Invocation, **args: Any) -> None:
    """List who is served by which profile.

    All bindings, or those of NAME and the options.
    """
    run.show("brain.bindings", lambda a: text.bindings_text(a["bindings"]), **args)


@click.command()
@whom_options
@common_options
def resolve(run: Invocation, **args: Any) -> None:
    """Say which profile serves you, and why.

    The options stand for another actor, namespace or kind (recall).
    """
    run.show("brain.resolve", text.resolution_text, **args)


@click.command()
@name_argument(required=False)
@common_options
def replay(run: Invocation, name: str | None) -> None:
    """Compute profiles again from their events.

    Writes nothing; exits with 9 if a number is another than in the tables.
    """
    answer = run.ask("brain.replay", name=name)
    run.emit(answer, text.replay_text)
    if not answer["equal"]:
        raise SystemExit(exitcodes.UNHEALTHY)


# --- changing -------------------------------------------------------------------------------------


@click.command()
@click.argument("entry", metavar="ID")
@click.argument("signal", type=click.Choice(RATINGS), metavar="SIGNAL")
@click.option(
    "--profile",
    shell_complete=complete_name,
    help="The profile that learns; the one that serves by default.",
)
@common_options
def feedback(run: Invocation, entry: str, signal: str, profile: str | None) -> None:
    """Say what the entry ID was worth.

    SIGNAL is useful, not_useful, wrong, correction, or explicit_ or implicit_ with positive or
    negative.
    """
    run.show("brain.feedback", text.feedback_text, target=entry, signal=signal, profile=profile)


@click.command("create-profile")
@click.argument("name")
@click.option("--description", help="What it is for.")
@click.option("--kind", "consumer_kind", help="What it ranks: recall (default), search, or other.")
@click.option(
    "--seed",
    "seed_priors",
    multiple=True,
    callback=parse_seeds,
    metavar="WEIGHT=ALPHA,BETA",
    help="What a weight starts with, such as relevance=7,3; repeatable.",
)
@common_options
def create_profile(run: Invocation, **args: Any) -> None:
    """Create a profile that learns its own ranking."""
    made = "Created {name}. `bind` says whom it serves."
    run.show("brain.create_profile", made.format_map, **args)


@click.command()
@name_argument()
@whom_options
@click.option(
    "--priority",
    type=WholeNumber(-PRIORITY_LIMIT, PRIORITY_LIMIT),
    help="Decides among bindings that name equally many fields (0).",
)
@common_options
def bind(run: Invocation, **args: Any) -> None:
    """Let the profile NAME serve somebody.

    A field that is not given matches everything.
    """
    run.show("brain.bind", _bound_text, **args)


def _bound_text(answer: Mapping[str, Any]) -> str:
    lines = [text.binding_line(answer["bound"])]
    if "replaced" in answer:
        lines.append(f"instead of {text.binding_line(answer['replaced'])}")
    return "\n".join([*lines, *filter(None, [answer.get("note")])])


@click.command()
@name_argument(required=False)
@whom_options
@common_options
def unbind(run: Invocation, **args: Any) -> None:
    """Remove bindings: those of NAME and the options.

    At least one of them has to be given.
    """
    run.show("brain.unbind", _unbound_text, **args)


def _unbound_text(answer: Mapping[str, Sequence[Shown]]) -> str:
    lines = [f"Removed {text.binding_line(binding)}" for binding in answer["removed"]]
    return "\n".join(lines) or "No binding is like that."


def _lifecycle(verb: str, name: str, summary: str) -> click.Command:
    """A command that takes a profile's name and nothing else."""

    def change(run: Invocation, **args: Any) -> None:
        run.show(verb, lambda a: f"{a['name']} is {a['lifecycle']}, resets {a['resets']}.", **args)

    return click.command(name, help=summary)(common_options(name_argument()(change)))


activate = _lifecycle(
    "brain.activate", "activate", "Let the profile NAME, which was deactivated, serve again."
)
deactivate = _lifecycle(
    "brain.deactivate", "deactivate", "Let the profile NAME serve nothing for now."
)
archive = _lifecycle("brain.archive", "archive", "Put the inactive profile NAME away for good.")
reset_profile = _lifecycle(
    "brain.reset", "reset-profile", "Take the profile NAME back to its priors; its events stay."
)

COMMANDS = (
    profiles,
    profile,
    feedback,
    create_profile,
    bind,
    unbind,
    bindings,
    resolve,
    activate,
    deactivate,
    archive,
    reset_profile,
    replay,
)
