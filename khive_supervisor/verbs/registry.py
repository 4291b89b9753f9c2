"""The registry of verbs: one name, one schema, one handler for MCP, command line and socket.

A pack groups verbs. Packs of other distributions register under the entry point group
`khive.packs`: a callable without arguments that returns a `Pack`.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib.metadata
import json
import re
import shlex
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from jsonschema import Draft202012Validator

from khive_supervisor import logs
from khive_supervisor.access.grant import Audience, Grant
from khive_supervisor.control import measured
from khive_supervisor.errors import (
    Denied,
    InvalidInput,
    KhiveError,
    NotFound,
    OutcomeUnknown,
    TeamAway,
)
from khive_supervisor.text import wellformed
from khive_supervisor.text.plain_json import JsonObject
from khive_supervisor.verbs import schema
from khive_supervisor.verbs.away import keeping
from khive_supervisor.verbs.coercion import ArgumentValidator, coerce
from khive_supervisor.verbs.context import Context

log = logs.get("khive.verbs")

#: Entry point group for packs of other distributions.
ENTRY_POINTS = "khive.packs"
#: A verb's name: its pack and what it does. Every client takes the MCP spelling of such a name.
NAME = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")
NAME_LIMIT = 40
#: The verb that runs others.
BATCH = "batch.run"
#: Characters of an offending value that an error repeats.
SHOWN = 80
#: Unknown arguments that an error names.
NAMED = 5
#: Characters of a command that a hint repeats; longer arguments are left out.
COMMAND_LIMIT = 300

#: What metrics call the ways that verbs are called on, by kinds of sessions.
SURFACES = {"attach": "mcp", "verbs": "command"}

Arguments = Mapping[str, Any]
#: A verb's answer: JSON for a client. What the code reads back of one has a TypedDict.
Answer = Mapping[str, object]
Handler = Callable[[Context, Arguments], Answer]
#: Says why a call with these arguments is an operator's; empty if an agent may make it.
Rule = Callable[[Context, Arguments], str]


@dataclass(frozen=True, slots=True)
class Verb:
    """One verb. Schemas are JSON Schema 2020-12; `properties` have a description each."""

    name: str
    summary: str
    handler: Handler
    properties: Mapping[str, Any] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    output: Mapping[str, Any] | None = None
    #: Its answer as text, for clients that show a model that alone; without, the answer's JSON.
    as_text: Callable[[Answer], str] | None = None
    #: Longer text for the model that decides whether to call it.
    description: str = ""
    read_only: bool = False
    destructive: bool = False
    idempotent: bool = False
    #: Offered as an MCP tool of its own, not only through `khive_call`.
    tool: bool = False
    #: As a tool it is listed only where roles are configured (True), or only where none are.
    with_roles: bool | None = None
    #: Arguments that a tool's list leaves out: each listed one takes room in every context.
    rare: frozenset[str] = frozenset()
    #: Only reads, and takes milliseconds: a session may run it where it notices its client.
    quick: bool = False
    #: Only reads and writes the store, in milliseconds, and searches nothing: it can be one of a
    #: batch, and is rolled back with the others.
    in_batch: bool = False
    #: Writes what a session has to say of memories, and may do so later: where the user has it so,
    #: a call that a team's server is away for is kept on this machine (`verbs.away`). It has to be
    #: `in_batch`, or a batch itself.
    may_wait: bool = False
    #: Waits for something to happen: other calls of its session go on meanwhile. It waits with
    #: `context.pause`, which ends when nobody waits for the answer any more.
    waits: bool = False
    #: Whom it is for. A foreign pack's verb that does not say is for agents: the user installed it.
    audience: Audience | None = None
    #: Why it is for operators, as the end of a sentence; empty if it is not.
    because: str = ""
    #: Decides by its arguments whether a call of an agent's verb is an operator's after all.
    reserved: Rule | None = None
    #: It tells or changes what all namespaces share, so a confined session does not have it.
    shared: bool = False
    #: Clients call it for what their users do. It is not offered to agents, who could pretend that
    #: the user has said something.
    hook: bool = False

    @property
    def tool_name(self) -> str:
        """Return the MCP spelling: clients allow no dots."""
        return self.name.replace(".", "_")

    def reached_by(self, grant: Grant) -> bool:
        """Return True if a grant reaches it, at least with some arguments."""
        if self.shared and grant.confined:
            return False
        return grant.operator or self.audience is not Audience.OPERATOR

    @property
    def input_schema(self) -> JsonObject:
        """Return the schema of its arguments; unknown ones are refused."""
        return {
            "type": "object",
            "properties": dict(self.properties),
            "required": list(self.required),
            "additionalProperties": False,
        }


@dataclass(frozen=True, slots=True)
class Pack:
    """A group of verbs, and what should be loaded before the first session."""

    name: str
    summary: str
    verbs: tuple[Verb, ...]
    #: Run once in the zygote, before it forks: import, precompute; open nothing.
    warm: Callable[[], None] | None = None
    #: The kinds of consumers that profiles can be bound to for this pack's verbs.
    consumer_kinds: tuple[str, ...] = ()


class Registry:
    """All verbs, by name."""

    def __init__(self, packs: Iterable[Pack]) -> None:
        self.packs = tuple(packs)
        #: The kinds of consumers that any pack declares, each once.
        self.consumer_kinds = tuple(dict.fromkeys(k for p in self.packs for k in p.consumer_kinds))
        self._verbs: dict[str, Verb] = {}
        self._by_tool_name: dict[str, Verb] = {}
        self._validators: dict[str, ArgumentValidator] = {}
        self._plain: dict[str, Mapping[str, schema.Takes]] = {}
        for verb in (verb for pack in self.packs for verb in pack.verbs):
            if self._by_tool_name.setdefault(verb.tool_name, verb) is not verb:
                raise ValueError(f"two packs declare the verb {verb.name}")
            self._verbs[verb.name] = verb
            self._validators[verb.name] = ArgumentValidator(verb.input_schema)
            self._plain[verb.name] = schema.plain(verb.properties)

    def __iter__(self) -> Iterator[Verb]:
        return iter(self._verbs.values())

    def within(self, grant: Grant) -> Iterator[Verb]:
        """Return the verbs that a grant reaches, at least with some arguments."""
        return (verb for verb in self if verb.reached_by(grant))

    def get(self, name: str) -> Verb:
        """Return the verb of a name, in the dotted or the MCP spelling.

        Raises:
            NotFound: there is none; the hint names the nearest.
        """
        verb = self._verbs.get(name) or self._by_tool_name.get(name)
        if verb is None:
            near = difflib.get_close_matches(name, self._verbs, n=3, cutoff=0.5)
            known = (
                f"Did you mean {' or '.join(near)}?"
                if near
                else "khive_help (on the command line: `khive-supervisor verbs`) lists all."
            )
            raise NotFound(f"There is no verb {name[:SHOWN]!r}.", hint=known)
        return verb

    def reached(self, name: str, grant: Grant) -> Verb:
        """Return the verb of a name, if a grant reaches it; raises NotFound or Denied."""
        verb = self.get(name)
        _check_audience(verb, grant, None)
        return verb

    def checked_for_batch(self, name: str, grant: Grant) -> str:
        """Return the name of a verb that a grant reaches and that can be one of a batch.

        Raises:
            NotFound: there is none of this name.
            Denied: it is not for who asks.
            InvalidInput: it cannot be one of a batch.
        """
        verb = self.reached(name, grant)
        if not verb.in_batch:
            known = ", ".join(sorted(one.name for one in self.within(grant) if one.in_batch))
            raise InvalidInput(
                f"{verb.name} cannot be one of a batch: {_alone(verb)}.",
                hint=f"Call it by itself. These can be: {known}.",
            )
        return verb.name

    def call(self, context: Context, name: str, arguments: Any) -> Answer:
        """Take the arguments as they are meant (see `coercion`), and run the verb.

        Raises:
            InvalidInput: every problem of the arguments at once; nothing was done.
            Denied: the verb, or the verb with these arguments, is not for who asks.
            KhiveError: what the verb says.
        """
        try:
            return self._call(context, self.get(name), arguments)
        except KhiveError as error:
            measured.failed(error.code)
            raise

    def _call(self, context: Context, verb: Verb, arguments: Any) -> Answer:
        arguments = {} if arguments is None else wellformed.data(arguments)
        _check_audience(verb, context.grant, arguments)
        if not schema.surely_valid(verb.required, self._plain[verb.name], arguments):
            arguments = coerce(verb.input_schema, arguments)
            self._check(verb, arguments)
        context.consumer_kinds = self.consumer_kinds
        context.registry = self
        if verb.reserved is not None and not context.grant.operator:
            why = verb.reserved(context, arguments)
            if why:
                raise an_operators_here(verb.name, why, arguments)
        began = time.perf_counter()
        try:
            if self._may_wait(verb, arguments) and keeping.waits_if_away(context):
                return _later_if_away(context, verb, arguments)
            context.catch_up()
            return verb.handler(context, arguments)
        finally:
            surface = SURFACES.get(context.session.kind, context.session.kind)
            measured.took(measured.CALL, f"{verb.name},{surface}", began)

    def _may_wait(self, verb: Verb, arguments: Arguments) -> bool:
        """Return whether a call may wait: a batch may if each of its calls may, or only reads."""
        if verb.name != BATCH or not verb.may_wait:
            return verb.may_wait
        named = [self._verbs.get(str(one.get("verb"))) for one in arguments["calls"]]
        return all(one is not None and (one.may_wait or one.read_only) for one in named)

    def _check(self, verb: Verb, arguments: Any) -> None:
        problems = [_explain(error) for error in self._validators[verb.name].iter_errors(arguments)]
        if problems:
            raise InvalidInput(
                f"{verb.name} was not called: " + "; ".join(sorted(problems)) + ".",
                hint=f"It takes: {_signature(verb)}.",
            )

    def warm(self) -> None:
        """Run every pack's warm hook; one that fails is reported and left cold."""
        for pack in self.packs:
            if pack.warm is None:
                continue
            try:
                pack.warm()
            except Exception as error:  # noqa: BLE001 - a foreign pack must not stop the zygote
                log.error("pack.warm_failed", pack=pack.name, error=repr(error))


def _later_if_away(context: Context, verb: Verb, arguments: Arguments) -> Answer:
    """Run a verb; if the team's server is away, or earlier calls wait, have the call wait.

    One that the server was lost with waits as well: whether it is stored is asked then.
    """
    with context.whole_store.waiting.behind():
        try:
            with contextlib.suppress(TeamAway):  # its own turn brings what is newer, or it waits
                context.catch_up()
            return verb.handler(context, arguments)
        except TeamAway:
            return keeping.keep(context, verb.name, arguments)
        except OutcomeUnknown as error:
            return keeping.keep(context, verb.name, arguments, error)


def _alone(verb: Verb) -> str:
    """Return why a verb is not for batches, as the end of a sentence."""
    if verb.name == BATCH:
        return "it is one"
    if verb.waits:
        return "it waits, and nobody could write meanwhile"
    if verb.hook:
        return "it is what clients tell of their users"
    return "it searches, or does more than the store could take back"


def _check_audience(verb: Verb, grant: Grant, arguments: Any) -> None:
    """Refuse a verb that is not for who asks; the one place that every call passes."""
    if verb.reached_by(grant):
        return
    if verb.audience is Audience.OPERATOR and not grant.operator:
        raise an_operators(verb.name, verb.because, arguments)
    raise not_confined(verb.name, arguments)


def _explain(error: Any) -> str:
    where = ".".join(str(part) for part in error.absolute_path)
    message = str(error.message)
    if error.validator == "type":
        value = repr(error.instance)
        shown = value if len(value) <= SHOWN else value[:SHOWN] + "..."
        message = f"{shown} is not of type {error.validator_value}"
    elif error.validator == "additionalProperties" and isinstance(error.instance, Mapping):
        message = _unknown(error.instance, error.schema.get("properties", {}))
    elif error.validator in ("maxLength", "maxItems"):
        message = f"is longer than {error.validator_value}"
    elif error.validator == "minLength":
        message = "is empty"
    elif len(message) > 3 * SHOWN:
        message = message[: 3 * SHOWN] + "..."
    return f"{where}: {message}" if where else message


def _unknown(given: Mapping[str, object], known: Mapping[str, object]) -> str:
    """Return which names are not known, each with the known one that it is nearest to."""
    told = []
    for name in given.keys() - known.keys():
        near = difflib.get_close_matches(_spelled(name), known, n=1)
        told.append(f"{name[:SHOWN]!r}" + (f" (did you mean {near[0]}?)" if near else ""))
    return f"there is no argument {', '.join(sorted(told)[:NAMED])}"


def _spelled(name: str) -> str:
    """A name as ours are spelled: `maxCharacters` and `max-characters` are `max_characters`."""
    joined = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name[:SHOWN])
    return re.sub(r"\W+", "_", joined).lower()


def _signature(verb: Verb) -> str:
    parts = [name if name in verb.required else f"[{name}]" for name in verb.properties]
    return ", ".join(parts) or "no arguments"


def load(builtin: Iterable[Pack]) -> Registry:
    """Return the built-in packs and other distributions'; a broken one is reported and left out."""
    packs = list(builtin)
    taken = {verb.tool_name for pack in packs for verb in pack.verbs}
    for point in importlib.metadata.entry_points(group=ENTRY_POINTS):
        try:
            pack: Pack = point.load()()
            _check(pack, taken)
        except Exception as error:  # noqa: BLE001 - a foreign pack must not stop a session
            log.error("pack.broken", pack=point.name, error=repr(error))
            continue
        taken |= {verb.tool_name for verb in pack.verbs}
        packs.append(pack)
    return Registry(packs)


def _check(pack: Pack, taken: Iterable[str]) -> None:
    """Refuse a pack that would break the others, or clients; raises what is wrong with it."""
    names = set(taken)
    for verb in pack.verbs:
        if len(verb.name) > NAME_LIMIT or NAME.fullmatch(verb.name) is None:
            raise KhiveError(f"{verb.name!r} is not pack.verb in at most {NAME_LIMIT} characters")
        if verb.tool_name in names:
            raise KhiveError(f"it declares a verb that exists: {verb.name}")
        names.add(verb.tool_name)
        Draft202012Validator.check_schema(verb.input_schema)
        Draft202012Validator.check_schema(verb.output or {})


# --- what whoever may not make a call is told -----------------------------------------------------


def an_operators(name: str, because: str, arguments: Any) -> Denied:
    """Return the error of a verb that is an operator's, whatever the arguments."""
    return Denied(f"{name} is an operator's verb: {because}.", hint=_instead(name, arguments))


def an_operators_here(name: str, why: str, arguments: Any) -> Denied:
    """Return the error of an agent's verb that is an operator's with these arguments."""
    return Denied(f"{name} is an operator's here: {why}.", hint=_instead(name, arguments))


def not_confined(name: str, arguments: Any) -> Denied:
    """Return the error of a verb that no confined session has."""
    return Denied(
        f"{name} is about what all namespaces share, and this session is confined.",
        hint=_instead(name, arguments),
    )


def _instead(name: str, arguments: Any) -> str:
    return (
        f"The user can do it in a terminal that no agent has started: `{command(name, arguments)}`."
    )


def command(name: str, arguments: Any) -> str:
    """Return the command line of a call."""
    bare = f"khive-supervisor call {name}"
    if not isinstance(arguments, dict):
        return bare
    words = [shlex.quote(f"{key}={_written(value)}") for key, value in arguments.items()]
    whole = " ".join((bare, *words))
    return whole if whole.isprintable() and len(whole) <= COMMAND_LIMIT else f"{bare} ..."


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=repr)
