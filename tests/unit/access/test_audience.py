"""Who may call what: every verb has an audience, and the registry holds every call to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from khive_supervisor.access.grant import AGENT, OPERATOR, Audience, Grant, confined_to, from_dict
from khive_supervisor.config.load import from_dict as config_from
from khive_supervisor.errors import Denied, NotFound
from khive_supervisor.packs import loading
from khive_supervisor.profiles.model import DEFAULT
from khive_supervisor.tasks import lease
from khive_supervisor.tasks.model import DONE, Claimant, Outcome, RoleRow
from khive_supervisor.verbs.context import Context, SessionInfo
from khive_supervisor.verbs.registry import COMMAND_LIMIT, Pack, Registry, Verb, command

REGISTRY = loading.load()
BUILTIN = [verb for pack in loading.BUILTIN for verb in pack.verbs]
OPERATORS = {verb.name for verb in BUILTIN if verb.audience is Audience.OPERATOR}
Make = Callable[..., Context]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes contexts of sessions that share one store."""
    made: list[Context] = []

    def context(session_id: str = "s", grant: Grant = AGENT, actor: str = "ada") -> Context:
        config = config_from({"store": {"path": str(tmp_path / "khive.db")}})
        info = SessionInfo(id=session_id, actor=actor)
        made.append(
            Context(config, info, socket_path=None, make_embedder=lambda: None, grant=grant)
        )
        return made[-1]

    yield context
    for one in made:
        one.close()


def call(context: Context, verb: str, /, **args: Any) -> dict[str, Any]:
    return REGISTRY.call(context, verb, args)


# --- declarations -----------------------------------------------------------------------------


@pytest.mark.parametrize("verb", BUILTIN, ids=lambda verb: verb.name)
def test_every_verb_says_whom_it_is_for(verb: Verb) -> None:
    assert verb.audience is not None, "declare audience=Audience.AGENT or Audience.OPERATOR"
    if verb.audience is Audience.OPERATOR:
        assert verb.because, "say why it is not for agents"
        assert not verb.tool, "an operator's verb is no agent's tool"
        assert verb.reserved is None
    else:
        assert not verb.because


def test_what_would_change_others_is_not_an_agents() -> None:
    assert {
        "agents.close_breaker",
        "brain.activate", "brain.archive", "brain.deactivate", "brain.reset",
        "channels.list", "channels.log", "channels.retry", "channels.test",
        "capture.backfill", "capture.status", "capture.switch", "review.decide",
        "index.build", "memory.export_records", "memory.import_records",
        "memory.purge", "projects.merge", "projects.move", "projects.rename",
        "secrets.scan", "system.audit", "workflow.approve", "workflow.pause", "workflow.reject",
        "workflow.resume", "workflow.unschedule",
    } == OPERATORS  # fmt: skip


def test_a_foreign_verb_that_says_nothing_is_for_agents(make: Make) -> None:
    verb = Verb("foreign.do", "Do it.", lambda _context, _args: {"done": True})
    assert verb.audience is None
    assert Registry([Pack("foreign", "From elsewhere.", (verb,))]).call(make(), "foreign.do", {})


def test_a_foreign_verb_may_be_an_operators(make: Make) -> None:
    verb = Verb(
        "foreign.do", "Do it.", lambda _context, _args: {"done": True},
        audience=Audience.OPERATOR, because="it is dear",
    )  # fmt: skip
    registry = Registry([Pack("foreign", "From elsewhere.", (verb,))])
    assert registry.call(make(grant=OPERATOR), "foreign.do", {})
    with pytest.raises(Denied, match=r"foreign.do is an operator's verb: it is dear\."):
        registry.call(make(), "foreign.do", {})


# --- calls ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(OPERATORS))
def test_an_agent_is_told_whose_it_is_and_what_the_user_can_do(make: Make, name: str) -> None:
    args = {"name": DEFAULT} if name.startswith("brain.") else {}
    with pytest.raises(Denied) as caught:
        call(make(), name, **args)
    said = str(caught.value)
    assert said.startswith(f"{name} is an operator's verb: {REGISTRY.get(name).because}.")
    assert f"`{command(name, args)}`" in said
    with pytest.raises(Denied):  # whatever the arguments are: nothing is told of them
        call(make(), name, no_such_argument=1)


def test_only_what_is_reached_is_listed() -> None:
    agents = {verb.name for verb in REGISTRY.within(AGENT)}
    confined = {verb.name for verb in REGISTRY.within(confined_to("acme"))}
    everything = {verb.name for verb in REGISTRY}
    assert everything - agents == OPERATORS
    assert confined < agents
    assert {verb.name for verb in REGISTRY.within(OPERATOR)} == everything


@pytest.mark.parametrize("verb", BUILTIN, ids=lambda verb: verb.name)
def test_a_confined_session_has_nothing_of_what_all_share(make: Make, verb: Verb) -> None:
    if verb.shared:
        with pytest.raises(Denied):
            call(make(grant=confined_to("acme")), verb.name)


def test_a_reset_leaves_everything_as_it_was(make: Make) -> None:
    agent, operator = make(), make(grant=OPERATOR)
    for _ in range(2):
        memory = call(agent, "memory.remember", content="the first memory")["id"]
        call(agent, "brain.feedback", target=memory, signal="useful")
    before = call(operator, "brain.profile", name=DEFAULT)
    with pytest.raises(Denied):
        call(agent, "brain.reset", name=DEFAULT)
    assert call(operator, "brain.profile", name=DEFAULT) == before
    assert call(operator, "brain.reset", name=DEFAULT)["resets"] == 1


# --- bindings ---------------------------------------------------------------------------------

FOREIGN_BINDINGS: list[dict[str, str]] = [
    {},
    {"actor": "ada"},
    {"namespace": "default"},
    {"actor": "*", "namespace": "*"},
    {"actor": "ada", "namespace": "*"},
    {"actor": "*", "namespace": "default"},
    {"actor": "bob", "namespace": "default"},
    {"actor": "ada", "namespace": "other"},
    {"actor": "Ada", "namespace": "default"},
]


@pytest.mark.parametrize("fields", FOREIGN_BINDINGS, ids=str)
@pytest.mark.parametrize("verb", ["brain.bind", "brain.unbind"])
def test_an_agent_binds_nobody_but_itself(make: Make, verb: str, fields: dict[str, str]) -> None:
    agent, operator = make(), make(grant=OPERATOR)
    call(agent, "brain.create_profile", name="mine")
    with pytest.raises(Denied, match="is an operator's here"):
        call(agent, verb, name="mine", **fields)
    assert call(operator, "brain.bindings")["bindings"] == []
    assert call(operator, "brain.bind", name="mine", **fields)


def test_an_agent_binds_itself(make: Make) -> None:
    agent = make()
    call(agent, "brain.create_profile", name="mine")
    own = {"actor": "ada", "namespace": "default"}
    assert call(agent, "brain.bind", name="mine", **own)
    assert call(agent, "brain.resolve")["profile"] == "mine"
    assert len(call(agent, "brain.unbind", **own)["removed"]) == 1


@pytest.mark.parametrize("actor", ["", "*"])
def test_who_has_no_actor_binds_nobody(make: Make, actor: str) -> None:
    agent = make(actor=actor)
    call(agent, "brain.create_profile", name="mine")
    for named in ("*", "ada"):
        with pytest.raises(Denied):
            call(agent, "brain.bind", name="mine", actor=named, namespace="default")


# --- tasks ------------------------------------------------------------------------------------


def _done(context: Context, text: str) -> None:
    store = context.store.tasks
    claim = store.claim(Claimant("writer", "w", 1, "d"), lease.now())
    assert claim is not None
    assert store.finish(claim.id, claim.token, Outcome(DONE, text), lease.now()).accepted


TASK_CALLS: list[tuple[str, dict[str, Any]]] = [
    ("agents.task", {"task": "t1"}),
    ("agents.wait", {"task": "t1", "timeout": 0}),
    ("agents.wait", {"tasks": ["t1"], "timeout": 0}),
    ("agents.wait", {"tasks": ["t2", "t1"], "timeout": 0}),
    ("agents.cancel", {"task": "t1"}),
    ("agents.retry", {"task": "t1"}),
    ("agents.feedback", {"task": "t1", "quality": 0.0}),
]


@pytest.mark.parametrize(("verb", "args"), TASK_CALLS, ids=str)
def test_another_sessions_task_is_an_operators(make: Make, verb: str, args: dict[str, Any]) -> None:
    one, other, operator = make("one"), make("other"), make("", grant=OPERATOR)
    one.store.roles.set([RoleRow("writer", ("write",))])
    call(one, "agents.assign", role="writer", payload="secret payload")
    call(other, "agents.assign", role="writer", payload="mine")
    _done(one, "secret result")
    before = operator.store.tasks.find(1)
    with pytest.raises(Denied, match="t1 is another session's task") as caught:
        call(other, verb, **args)
    assert "secret" not in str(caught.value)
    assert operator.store.tasks.find(1) == before
    assert call(operator, "agents.task", task="t1")["result"] == "secret result"


def test_listings_show_an_agent_its_own_tasks(make: Make) -> None:
    one, other, operator = make("one"), make("other"), make("", grant=OPERATOR)
    one.store.roles.set([RoleRow("writer", ("write",))])
    for number in range(6):
        call((one, other)[number % 2], "agents.assign", role="writer", payload=number)

    def listed(context: Context, **args: Any) -> list[str]:
        return [task["task"] for task in call(context, "agents.tasks", **args)["tasks"]]

    def followed(context: Context) -> set[str]:
        events = call(context, "agents.follow", after=0, timeout=0)["events"]
        return {event["task"] for event in events}

    assert listed(one) == ["t5", "t3", "t1"]
    # A page is full of its own ones, however many others lie between.
    assert listed(one, limit=2) == ["t5", "t3"]
    assert listed(other, before="t6") == ["t4", "t2"]
    assert listed(operator, limit=6) == ["t6", "t5", "t4", "t3", "t2", "t1"]
    assert followed(one) == {"t1", "t3", "t5"}
    assert followed(operator) == {"t1", "t2", "t3", "t4", "t5", "t6"}


def test_who_has_no_session_owns_no_tasks_of_others_without_one(make: Make) -> None:
    commands, client = make("", grant=OPERATOR), make("", grant=Grant(owners=("http",)))
    commands.store.roles.set([RoleRow("writer", ("write",))])
    call(commands, "agents.assign", role="writer", payload=1)
    call(client, "agents.assign", role="writer", payload=2)
    assert [task["task"] for task in call(client, "agents.tasks")["tasks"]] == ["t2"]
    assert call(make(""), "agents.tasks")["tasks"] == []
    with pytest.raises(Denied):
        call(make(""), "agents.task", task="t1")


def test_a_task_that_is_not_there_is_not_found_for_anybody(make: Make) -> None:
    for context in (make(), make(grant=OPERATOR), make(grant=confined_to("acme"))):
        with pytest.raises(NotFound):
            call(context, "agents.task", task="t9")


# --- what everybody may ask shows an agent its own ------------------------------------------------


def test_an_agents_status_lists_no_other_namespace(make: Make) -> None:
    agent, operator = make(), make(grant=OPERATOR)
    call(agent, "memory.remember", content="here")
    call(agent, "memory.remember", content="there", namespace="elsewhere")
    assert call(agent, "system.status")["store"]["namespaces"] == {"default": 1}
    everything = call(operator, "system.status")["store"]["namespaces"]
    assert everything == {"default": 1, "elsewhere": 1}


# --- grants -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        (OPERATOR, OPERATOR, OPERATOR),
        (OPERATOR, AGENT, AGENT),
        (AGENT, OPERATOR, AGENT),
        (AGENT, confined_to("a"), confined_to("a")),
        (confined_to("a"), OPERATOR, confined_to("a")),
        (confined_to("a"), confined_to("a"), confined_to("a")),
        (confined_to("a"), confined_to("b"), Grant(namespaces=(), home="a")),
        (Grant(owners=("s",)), Grant(owners=("t",)), Grant(owners=("s",))),
    ],
)
def test_two_grants_allow_what_both_allow(one: Grant, other: Grant, both: Grant) -> None:
    assert one.narrowed(other) == both
    assert from_dict(both.as_dict()) == both


def test_whoever_is_not_known_is_an_agent() -> None:
    assert from_dict(None) == AGENT


def test_the_command_of_a_call() -> None:
    args = {"task": "t1", "quality": 0.5, "tags": ["a b"], "name": "it's"}
    assert command("x.y", args) == (
        "khive-supervisor call x.y task=t1 quality=0.5 'tags=[\"a b\"]' 'name=it'\"'\"'s'"
    )
    assert command("x.y", {"text": "x" * COMMAND_LIMIT}) == "khive-supervisor call x.y ..."
    assert command("x.y", {"text": "a\x1b[31m"}) == "khive-supervisor call x.y ..."
    assert command("x.y", ["no object"]) == "khive-supervisor call x.y"
