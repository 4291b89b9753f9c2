"""A role's agent: what a task's prompt is, which session goes on, and what its end means."""

from __future__ import annotations

import selectors
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
from khive_workers.role.agent import AgentHandler
from khive_workers.role.handlers import Why
from khive_workers.role.output import Bounded

from khive_supervisor.agents.model import AgentAnswer, Call
from khive_supervisor.config.settings.roles import Handler, Role
from khive_supervisor.errors import StoreUnavailable
from khive_supervisor.tasks.lease import Moment
from khive_supervisor.tasks.model import CANCELLED, DONE, FAILED, Claim, Outcome, Usage

CLAIM = Claim(1, 1, "r", "t", "review it", 1, 3, Moment("b", 0), None, "", "", "")


class Agent(AgentHandler):
    """An agent whose program is never started: what it would be started with is kept."""

    def _start(self, claim: Claim, arguments: Sequence[str], stdin: bytes) -> None:
        self._output, self._errors = Bounded(*self._kept_bytes), Bounded(0, 1000)
        self.asked.append(stdin.decode())
        if self.refuses:
            self._refused = Outcome(FAILED, error="no such program")

    def __init__(self, name: str, note: Callable[[Claim, str, int], None]) -> None:
        self.asked: list[str] = []
        self.refuses = False
        self.now = 0.0
        role = Role(role="r", task_types=("t",), handler=Handler(agent=(name,)))
        super().__init__(
            role, cwd="/", environment={}, selector=selectors.DefaultSelector(), note=note
        )
        self._clock = lambda: self.now

    def says(self, output: str, errors: str = "", code: int = 0) -> Outcome | None:
        """It ends with this."""
        self._output.add(output.encode())
        self._errors.add(errors.encode())
        return self._judge(code)


class Notes:
    """What is kept of sessions."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, int]] = []
        self.error: Exception | None = None

    def __call__(self, claim: Claim, session: str, counted: int) -> None:
        if self.error is not None:
            raise self.error
        self.kept.append((session, counted))


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def make(notes: Notes) -> Iterator[Callable[[str], Agent]]:
    made: list[Agent] = []

    def agent(name: str = "plain") -> Agent:
        made.append(Agent(name, notes))
        return made[-1]

    yield agent
    for one in made:
        one.close()


def ends(agent: Agent, monkeypatch: pytest.MonkeyPatch, answer: AgentAnswer) -> Outcome | None:
    """The agent ends, and its format understands this of it."""
    counts: list[int] = []

    def read(_said: object, counted: int) -> AgentAnswer:
        counts.append(counted)
        return answer

    module: ModuleType | Any = agent._format
    monkeypatch.setattr(module, "read", read)
    return agent._judge(0)


# --- prompts --------------------------------------------------------------------------------------


@pytest.mark.parametrize("payload", [None, "", "  \n", {"prompt": " "}])
def test_a_task_without_a_prompt_fails_for_good_and_starts_nothing(
    make: Callable[..., Agent], payload: object
) -> None:
    agent = make()
    agent.begin(replace(CLAIM, payload=payload))
    outcome = agent.outcome()
    assert outcome is not None
    assert (outcome.state, outcome.final) == (FAILED, True)
    assert "no prompt" in (outcome.error or "")
    assert agent.asked == []


@pytest.mark.parametrize(
    ("payload", "prompt"),
    [
        ("review it", "review it"),
        ({"prompt": "review it"}, "review it"),
        ({"prompt": "review it", "file": "ä"}, 'review it\n\n{\n  "file": "ä"\n}'),
        ({"file": "a"}, '{\n  "file": "a"\n}'),
        ([1], "[\n  1\n]"),
    ],
)
def test_a_payload_is_the_agent_s_prompt(
    make: Callable[..., Agent], payload: object, prompt: str
) -> None:
    agent = make()
    agent.begin(replace(CLAIM, payload=payload))
    assert agent.asked == [prompt]


def test_one_that_cannot_be_started_says_so_once(make: Callable[..., Agent]) -> None:
    agent = make()
    agent.refuses = True
    agent.begin(CLAIM)
    outcome = agent.outcome()
    assert outcome is not None
    assert outcome.error == "no such program"
    assert agent.outcome() is None


# --- ends -----------------------------------------------------------------------------------------


def test_what_it_prints_is_the_result(make: Callable[..., Agent]) -> None:
    agent = make()
    agent.begin(CLAIM)
    agent.now = 4.0
    outcome = agent.says("All is well.\n", errors="looking\n")
    assert outcome is not None
    assert (outcome.state, outcome.result) == (DONE, {"text": "All is well."})
    assert (outcome.latency, outcome.log_tail) == (4.0, "looking\n")


@pytest.mark.parametrize(("code", "final"), [(1, False), (125, True), (-9, False)])
def test_a_failure_may_say_that_trying_again_cannot_help(
    make: Callable[..., Agent], code: int, *, final: bool
) -> None:
    agent = make()
    agent.begin(CLAIM)
    outcome = agent.says("", errors="no key\n", code=code)
    assert outcome is not None
    assert (outcome.state, outcome.final) == (FAILED, final)
    assert "no key" in (outcome.error or "")


@pytest.mark.parametrize("why", [why for why in Why if why is not Why.TIMEOUT])
def test_one_that_was_asked_to_end_is_cancelled_whatever_it_says(
    make: Callable[..., Agent], why: Why
) -> None:
    agent = make()
    agent.begin(CLAIM)
    agent._why = why
    outcome = agent.says("done")
    assert outcome is not None
    assert outcome.state == CANCELLED


def test_one_that_takes_too_long_has_what_it_says(make: Callable[..., Agent]) -> None:
    agent = make()
    agent.begin(CLAIM)
    agent._why = Why.TIMEOUT
    outcome = agent.says("", code=-15)
    assert outcome is not None
    assert outcome.state == FAILED


def test_what_it_used_is_told_also_when_it_fails(
    make: Callable[..., Agent], monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = make()
    agent.begin(CLAIM)
    failed = ends(agent, monkeypatch, AgentAnswer(error="no", usage=Usage(5, 7), final=True))
    assert failed is not None
    assert (failed.usage, failed.final) == (Usage(5, 7), True)
    done = ends(agent, monkeypatch, AgentAnswer("text", session="s", usage=Usage(5, 7)))
    assert done is not None
    assert done.result == {"text": "text", "session": "s", "usage": {"cost": 5, "tokens": 7}}


# --- sessions -------------------------------------------------------------------------------------


def test_a_session_is_kept_before_the_agent_needs_it(
    make: Callable[..., Agent], notes: Notes
) -> None:
    agent = make("claude")
    agent.begin(CLAIM)
    ((name, counted),) = notes.kept
    assert name.startswith("claude:")
    assert counted == 0


def test_the_session_of_the_attempt_before_goes_on(
    make: Callable[..., Agent], notes: Notes, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = make("claude")
    asked: list[str] = []

    def call(ask: Any) -> Call:
        asked.append(ask.resume)
        return Call((), b"", ask.resume or ask.new_session)

    monkeypatch.setattr(agent._format, "call", call)
    agent.begin(replace(CLAIM, agent_session="claude:abc", agent_counted=9))
    assert asked == ["abc"]
    assert notes.kept == []  # it is known already
    agent.begin(replace(CLAIM, agent_session="codex:abc", agent_counted=9))
    assert asked[1] == ""  # another agent's
    assert len(notes.kept) == 1


def test_what_a_session_had_counted_before_is_that_session_s_only(
    make: Callable[..., Agent], monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = make("codex")
    counts: list[int] = []

    def read(_said: object, counted: int) -> AgentAnswer:
        counts.append(counted)
        return AgentAnswer("ok")

    monkeypatch.setattr(agent._format, "read", read)
    for session in ("codex:abc", "claude:abc", ""):
        agent.begin(replace(CLAIM, agent_session=session, agent_counted=9))
        agent._judge(0)
    assert counts == [9, 0, 0]


def test_a_session_that_is_lost_begins_anew_within_the_attempt(
    make: Callable[..., Agent], notes: Notes, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = make("claude")
    agent.begin(replace(CLAIM, agent_session="claude:abc", agent_counted=9))
    assert ends(agent, monkeypatch, AgentAnswer(error="lost", lost=True)) is None
    assert agent.asked == ["review it", "review it"]
    assert len(notes.kept) == 1
    assert notes.kept[0][0] != "claude:abc"
    # Once: a new session that is lost has failed.
    outcome = ends(agent, monkeypatch, AgentAnswer(error="lost", lost=True))
    assert outcome is not None
    assert outcome.state == FAILED


def test_one_that_was_asked_to_end_does_not_begin_anew(
    make: Callable[..., Agent], monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = make("claude")
    agent.begin(replace(CLAIM, agent_session="claude:abc"))
    agent._why = Why.CANCELLED
    outcome = ends(agent, monkeypatch, AgentAnswer(error="lost", lost=True))
    assert outcome is not None
    assert outcome.state == CANCELLED
    assert len(agent.asked) == 1


def test_one_that_cannot_begin_anew_says_why(
    make: Callable[..., Agent], monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = make("claude")
    agent.begin(replace(CLAIM, agent_session="claude:abc"))
    agent.refuses = True
    outcome = ends(agent, monkeypatch, AgentAnswer(error="lost", lost=True))
    assert outcome is not None
    assert outcome.error == "no such program"
    assert agent.outcome() is None


def test_a_session_that_ends_with_another_count_is_kept_with_it(
    make: Callable[..., Agent], notes: Notes, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = make("codex")
    agent.begin(replace(CLAIM, agent_session="codex:abc", agent_counted=9))
    ends(agent, monkeypatch, AgentAnswer("ok", session="abc", counted=9))
    assert notes.kept == []
    ends(agent, monkeypatch, AgentAnswer("ok", session="abc", counted=12))
    ends(agent, monkeypatch, AgentAnswer("ok", session="abc", counted=12))
    assert notes.kept == [("codex:abc", 12)]


def test_a_session_is_kept_as_soon_as_its_agent_names_it(
    make: Callable[..., Agent], notes: Notes
) -> None:
    agent = make("codex")
    agent.begin(CLAIM)
    assert agent.progress() is None
    agent._output.add(b'{"type":"thread.started","thread_id":"abc"}\n')
    for _ in range(3):
        assert agent.progress() is None
    assert notes.kept == [("codex:abc", 0)]


def test_a_session_that_cannot_be_kept_is_no_reason_to_fail(
    make: Callable[..., Agent], notes: Notes, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes.error = StoreUnavailable("busy")
    agent = make("claude")
    agent.begin(CLAIM)
    outcome = ends(agent, monkeypatch, AgentAnswer("ok", session="abc"))
    assert outcome is not None
    assert outcome.state == DONE
