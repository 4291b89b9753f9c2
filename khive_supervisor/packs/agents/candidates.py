"""The agents pack's verbs on candidates: what is believed of each, and whether it is available."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from khive_supervisor.config.settings.roles import Role, offers
from khive_supervisor.errors import NotFound
from khive_supervisor.routing import learning
from khive_supervisor.routing.breaker import CLOSED, Breaker
from khive_supervisor.routing.learning import FORGOTTEN
from khive_supervisor.routing.model import CandidateOffer, CandidateRecord
from khive_supervisor.tasks.model import Task, TaskFilter
from khive_supervisor.tasks.records import day_of
from khive_supervisor.verbs import forms
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Answer, Arguments

#: The newest tasks of a role whose choices are shown.
LATEST = 5


@dataclass(frozen=True, slots=True)
class _Known:
    """What a store knows of a role's candidates; breakers with their times on the wall."""

    records: Sequence[CandidateRecord]
    breakers: Mapping[str, Breaker]
    today: int
    until: Mapping[str, float]


def candidates(context: Context, args: Arguments) -> Answer:
    """Return the candidates of roles: what is believed of each, and whether it is available."""
    asked = args.get("role")
    having = [role for role in context.config.roles if role.candidates]
    if asked is not None:
        having = [_role(context, asked)]
    if context.grant.confined:
        return {"roles": [{"role": role.role, "candidates": _bare(role)} for role in having]}
    budgets = {account.role: account.state for account in context.store.budgets.accounts()}
    return {"roles": [_shown(context, role, budgets) for role in having]}


def _role(context: Context, name: str) -> Role:
    """Return a role that has candidates; raises NotFound."""
    role = context.config.role(name)
    if role is not None and role.candidates:
        return role
    names = ", ".join(one.role for one in context.config.roles if one.candidates) or "none"
    what = "There is no role" if role is None else "There are no candidates in the role"
    raise NotFound(
        f"{what} {name[:80]!r}.",
        hint=f"Roles with candidates: {names}. [[roles.candidates]] gives a role some.",
    )


def _bare(role: Role) -> list[Answer]:
    """Return what may be asked for by name, without what they did for others."""
    return [{"candidate": one.name, "price": one.price} for one in role.candidates]


def _shown(context: Context, role: Role, budgets: Mapping[str, str]) -> Answer:
    known = _known(context, role)
    rows = context.store.tasks.page(TaskFilter(role=role.role), 10 * LATEST)
    latest = [_choice(one) for one in rows if one.route is not None]
    return {
        "role": role.role,
        "budget": budgets.get(role.role, "unlimited"),
        "candidates": [
            {**_offered(offer), **_state(offer, known), "known": _learned(offer, role, known)}
            for offer in offers(role)
        ],
        "latest": latest[:LATEST],
    }


def _known(context: Context, role: Role) -> _Known:
    digests = [one.digest for one in offers(role)]
    routing, now = context.store.routing, context.store.tasks.now()
    today = day_of(context.now())
    breakers = routing.breakers(digests, now)
    ends = {digest: one.waits_until(now.at) for digest, one in breakers.items()}
    return _Known(
        routing.records(digests, today - FORGOTTEN),
        breakers,
        today,
        {d: context.now() + end - now.at for d, end in ends.items() if end is not None},
    )


def _offered(offer: CandidateOffer) -> dict[str, object]:
    """Return a candidate as it is configured."""
    rules = {
        "task_types": list(offer.task_types),
        "size_min": offer.size_min,
        "size_max": offer.size_max,
    }
    given = {name: value for name, value in rules.items() if value}
    return {"candidate": offer.name, "digest": offer.digest, "price": offer.price, **given}


def _state(offer: CandidateOffer, known: _Known) -> dict[str, object]:
    """Return whether tasks may go to a candidate, and if not, why and until when."""
    one = known.breakers.get(offer.digest, Breaker())
    shown: dict[str, object] = {
        "available": offer.digest not in known.until,
        "breaker": one.state,
    }
    if one.state != CLOSED:
        shown |= {"fault": one.fault, "faults": one.faults}
    if offer.digest in known.until:
        shown["until"] = forms.timestamp(known.until[offer.digest])
    return shown


def _learned(offer: CandidateOffer, role: Role, known: _Known) -> list[dict[str, object]]:
    """Return what is believed of a candidate at each type that it takes."""
    own = [one for one in known.records if one.digest == offer.digest]
    types = offer.task_types or tuple(
        dict.fromkeys((*role.task_types, *(o.task_type for o in own)))
    )
    return [_belief(offer, task_type, known) for task_type in types]


def _belief(offer: CandidateOffer, task_type: str, known: _Known) -> dict[str, object]:
    belief = learning.belief(known.records, offer.digest, task_type, known.today)
    low, high = belief.interval()
    own = [one for one in known.records if (one.digest, one.task_type) == (offer.digest, task_type)]
    shown: dict[str, object] = {
        "task_type": task_type,
        "success": round(belief.mean, 4),
        "interval": [round(low, 4), round(high, 4)],
        "tasks": sum(one.executions for one in own),
        "done": sum(one.successes for one in own),
    }
    cost = learning.mean_cost(own, offer.digest, task_type)
    return shown if cost is None else {**shown, "cost": round(cost, 6)}


def _choice(task: Task) -> dict[str, object]:
    """Return who had a task, and why."""
    assert task.route is not None
    shown: dict[str, object] = {
        "task": f"t{task.id}",
        "task_type": task.task_type,
        "state": task.state,
        "candidate": task.route["candidate"],
        "because": task.route.get("because", ""),
    }
    if before := task.route.get("failed_over"):
        shown["failed_over"] = before
    return shown


def close_breaker(context: Context, args: Arguments) -> Answer:
    """Let tasks go to a candidate at once that was not available."""
    role, name = _role(context, args["role"]), args["candidate"]
    offer = next((one for one in offers(role) if one.name == name), None)
    if offer is None:
        names = ", ".join(one.name for one in role.candidates)
        raise NotFound(
            f"The role {role.role} has no candidate {name[:80]!r}.", hint=f"It has: {names}."
        )
    closed = context.store.routing.close_breaker(role.role, name, offer.digest)
    context.hint({"hint": "tasks", "role": role.role})
    note = "Tasks go to it now." if closed else "It was available already: nothing was changed."
    return {"role": role.role, "candidate": name, "closed": closed, "note": note}
