"""Keeping a call that could not be stored since the team's server is away, and who made it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, cast

from khive_supervisor.access.grant import Grant
from khive_supervisor.config.settings.model import Config
from khive_supervisor.errors import OutcomeUnknown, StoreUnavailable
from khive_supervisor.projects.identity import ProjectIdentity
from khive_supervisor.redaction.gate import TextGate
from khive_supervisor.store.interface import Store
from khive_supervisor.tasks import lease
from khive_supervisor.team.order import LogPosition
from khive_supervisor.team.waiting import (
    WAITING,
    CallerData,
    CallTime,
    NewWaitingCall,
    told,
)
from khive_supervisor.text.plain_json import JsonObject


class CallingSession(Protocol):
    """What is kept of a session: `verbs.context.SessionInfo` has it."""

    @property
    def id(self) -> str:
        """Return the name that it is known by."""
        ...

    @property
    def cwd(self) -> str:
        """Return where its client works."""
        ...

    @property
    def actor(self) -> str:
        """Return who acts in it."""
        ...

    @property
    def project(self) -> ProjectIdentity | None:
        """Return the project that its memories are about."""
        ...

    @property
    def kind(self) -> str:
        """Return how it is served."""
        ...

    @property
    def role(self) -> str:
        """Return the role whose task it is a part of."""
        ...

    @property
    def project_name(self) -> str:
        """Return the project that its client names."""
        ...

    @property
    def process(self) -> str:
        """Return its client's process."""
        ...


class CallingContext(Protocol):
    """What is needed of whoever calls: `verbs.context.Context` has it."""

    config: Config
    grant: Grant
    gate: TextGate
    client: tuple[str, str]
    now: Callable[[], float]

    @property
    def session(self) -> CallingSession:
        """Return who is served."""
        ...

    @property
    def in_batch(self) -> bool:
        """Return whether the call is one of a batch."""
        ...

    @property
    def whole_store(self) -> Store:
        """Return the store."""
        ...

    @property
    def default_namespace(self) -> str:
        """Return the namespace of a call that names none."""
        ...


def waits_if_away(context: CallingContext) -> bool:
    """Return whether the user has writes wait, where this call is not a part of another."""
    store = context.config.store
    return bool(store.url) and store.away == "wait" and not context.in_batch


def keep(
    context: CallingContext,
    verb: str,
    arguments: Mapping[str, object],
    unclear: OutcomeUnknown | None = None,
) -> JsonObject:
    """Keep a call until the server is back; return what its caller is told.

    `unclear`: it may be stored already.

    Raises:
        SecretFound: its arguments hold what must not be kept.
        StoreUnavailable: it cannot be kept; nothing was stored.
        OutcomeUnknown: it cannot be kept either.
    """
    kept = cast("JsonObject", context.gate.said_data(dict(arguments), verb))
    store = context.whole_store
    here, wall = lease.now(), store.server_time()
    namespace = str(kept.get("namespace") or context.default_namespace)
    call = NewWaitingCall(
        time=CallTime(context.now() if wall is None else wall, here.boot, here.at),
        verb=verb,
        namespace=namespace,
        arguments=kept,
        caller=caller(context),
        unclear=LogPosition(unclear.number, unclear.nonce) if unclear is not None else None,
    )
    try:
        number = store.waiting.keep(call)
    except StoreUnavailable as error:
        if unclear is not None:
            raise unclear from error
        raise StoreUnavailable(
            f"This could not be kept to wait for the team's server: {error.message}",
            hint=error.hint,
        ) from error
    note = told(number, store.waiting.standing(), unclear=unclear is not None)
    return {"status": WAITING, "waiting": number, "note": note}


def caller(context: CallingContext) -> CallerData:
    """Return who calls, so that the call can be made again with the same rights in their name."""
    session = context.session
    project = session.project.as_dict() if session.project is not None else None
    return CallerData(
        request={
            "kind": session.kind,
            "session": session.id,
            "cwd": session.cwd,
            "env": {"KHIVE_ACTOR": session.actor, "KHIVE_NAMESPACE": context.default_namespace},
            "identity": project,
            "role": session.role,
            "process": session.process,
            "grant": context.grant.as_dict(),
        },
        client=list(context.client),
        project_name=session.project_name,
    )
