"""A role's coding agent: a command that is told what to do in its own way, and resumed."""

from __future__ import annotations

import selectors
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace

from khive_supervisor import logs
from khive_supervisor.agents import codex, formats
from khive_supervisor.agents.model import AgentAnswer, AgentOutput, Ask, prompt_of
from khive_supervisor.budgets.pricing import PriceList
from khive_supervisor.budgets.usage import SaidUsage
from khive_supervisor.config.settings.roles import Role
from khive_supervisor.errors import KhiveError
from khive_supervisor.routing import faults
from khive_supervisor.routing.model import Unavailable
from khive_supervisor.tasks.model import CANCELLED, DONE, ERROR_LIMIT, FAILED, Claim, Outcome
from khive_workers.role.command import CommandHandler, Variables
from khive_workers.role.handlers import Why, clip, failure, tail_of

log = logs.get("khive.role")

#: Keeps a task's session: its claim, the session, and what it had counted.
Note = Callable[[Claim, str, int], None]

#: Bytes of an agent's output that are kept: its first events, and its last, which count.
HEAD, TAIL = 256 << 10, 1 << 20


class AgentHandler(CommandHandler):
    """Runs an agent with the task as its prompt; a retry goes on in the session there was."""

    _what = "agent"
    _kept_bytes = (HEAD, TAIL)

    def __init__(
        self,
        role: Role,
        *,
        cwd: str,
        environment: Mapping[str, str],
        selector: selectors.BaseSelector,
        note: Note,
        variables: Variables = lambda _claim: {},
        prices: PriceList | None = None,
    ) -> None:
        super().__init__(
            role.handler.agent,
            cwd=cwd,
            memory=role.memory,
            environment=environment,
            selector=selector,
            variables=variables,
            prices=prices,
        )
        self._role = role
        self._format = formats.format_of(role.handler)
        self._note = note
        self._claim: Claim | None = None
        self._session = ""
        self._counted = 0
        self._resumed = False

    def begin(self, claim: Claim) -> None:
        """Start the agent with the task's prompt, in the session of the attempt before."""
        self._claim = claim
        self._why = self._kill_at = self._refused = None
        self._started = self._clock()
        text = prompt_of(claim.payload)
        if not text.strip():
            refused = failure("The task has no prompt: its payload is empty.")
            self._refused = replace(refused, final=True)
            return
        self._session = self._of_this_agent(claim.agent_session)
        self._counted = claim.agent_counted if self._session else 0
        self._ask(claim, text)

    def _of_this_agent(self, session: str) -> str:
        """The session if it is this kind of agent's: the role may have had another before."""
        kind, _, name = session.partition(":")
        return name if kind == self._format.NAME else ""

    def _ask(self, claim: Claim, text: str) -> None:
        self._resumed = bool(self._session)
        server = formats.server(self._environment, claim.role, claim.namespace)
        told = f"{text}\n\n{claim.history}" if claim.history and not self._resumed else text
        call = self._format.call(
            Ask(self._role, told, server, resume=self._session, new_session=str(uuid.uuid4()))
        )
        if call.session:
            self._keep(call.session, self._counted)
        self._start(claim, call.arguments, call.stdin)

    def _keep(self, session: str, counted: int) -> None:
        """Store the session before it is needed: nobody may be left to do it afterwards."""
        assert self._claim is not None
        known = (self._of_this_agent(self._claim.agent_session), self._claim.agent_counted)
        self._session = session
        if (session, counted) == known:
            return
        name = f"{self._format.NAME}:{session}"
        try:
            self._note(self._claim, name, counted)
        except KhiveError as error:
            log.warning("role.session_not_kept", task=self._claim.id, error=str(error))
            return
        self._claim = replace(self._claim, agent_session=name, agent_counted=counted)

    def progress(self) -> str | None:
        """Return None, as it says nothing of how far it is; note its session once it is known."""
        if not self._session and self._format is codex and self._output.total:
            session = codex.thread_in(self._output.text())
            if session:
                self._keep(session, 0)
        return None

    def _begin_anew(self) -> Outcome | None:
        """Begin a new session in the place of one that is lost, within the same attempt."""
        assert self._claim is not None
        log.info("role.session_lost", task=self._claim.id, session=self._session)
        self._session, self._counted = "", 0
        self._ask(self._claim, prompt_of(self._claim.payload))
        refused, self._refused = self._refused, None
        return refused

    def _priced(self, answer: AgentAnswer) -> AgentAnswer:
        """Return an answer with what its tokens cost, if it says tokens alone."""
        if answer.usage is None:
            return answer
        said = SaidUsage(answer.usage, self._role.model, answer.tokens)
        return replace(answer, usage=self._prices.priced(said))

    def _judge(self, code: int) -> Outcome | None:
        said = AgentOutput(code, self._output.text(), self._errors.text(), self._output.cut)
        answer = self._priced(self._format.read(said, self._counted))
        if answer.lost and self._resumed and self._why is None:
            return self._begin_anew()
        latency = self._clock() - self._started
        if answer.session:
            self._keep(answer.session, answer.counted)
        log_tail = tail_of(self._errors.text())
        done = Outcome(DONE, log_tail=log_tail, latency=latency, usage=answer.usage)
        if self._why is not None and self._why is not Why.TIMEOUT:
            return replace(done, state=CANCELLED, error="cancelled")
        if answer.error:
            text = clip(answer.error, ERROR_LIMIT)
            failed = replace(done, state=FAILED, error=text, final=answer.final)
            return replace(failed, unavailable=unavailable_by(answer))
        return replace(done, result=_result(answer))


def unavailable_by(answer: AgentAnswer) -> Unavailable | None:
    """Return why an agent could not do its task; None: it failed at it.

    One that has used no tokens has done nothing yet.
    """
    fault = answer.fault or faults.of_text(answer.error)
    if not fault:
        return None
    begun = answer.usage is not None and answer.usage.tokens > 0
    return Unavailable(fault, faults.retry_after(answer.error), begun)


def _result(answer: AgentAnswer) -> Mapping[str, object]:
    result: dict[str, object] = {"text": answer.text}
    if answer.session:
        result["session"] = answer.session
    if answer.usage is not None:
        result["usage"] = asdict(answer.usage)
    return result
