"""How profiles, posteriors and bindings look from outside, and what verbs take of them."""

from __future__ import annotations

from collections.abc import Iterable

from khive_supervisor.config.load import namespace_allowed
from khive_supervisor.errors import InvalidInput
from khive_supervisor.profiles.model import ANY, Binding, BindingFilter, Profile, Target, Weights
from khive_supervisor.profiles.names import NAME_LIMIT
from khive_supervisor.profiles.posterior import Beta
from khive_supervisor.profiles.signals import WEIGHTS
from khive_supervisor.verbs import forms, ingest, schema
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Answer, Arguments

#: A prior that is worth more observations than that would not learn any more; with less than the
#: least one, all weights could be too small to rank with.
SEED_LEAST, SEED_LIMIT = 0.01, 1000

NAME = schema.text(
    f"The profile's name: 1 to {NAME_LIMIT} letters, digits and hyphens.",
    shortest=1,
    longest=2 * NAME_LIMIT,
)
ACTOR = schema.text(
    "Who asks, as KHIVE_ACTOR or the client names the session's user.", shortest=1, longest=200
)
CONSUMER_KIND = schema.text(
    "What is served: recall (memory), search (knowledge), or another pack's kind.",
    shortest=1,
    longest=40,
)
_BETA = {
    "type": "object",
    "properties": {
        name: schema.number(f"From {SEED_LEAST} to {SEED_LIMIT}.") for name in ("alpha", "beta")
    },
    "required": ["alpha", "beta"],
    "additionalProperties": False,
}
SEEDS = {
    "type": "object",
    "properties": dict.fromkeys(WEIGHTS, _BETA),
    "additionalProperties": False,
    "description": "What it starts with: relevance, salience or temporal, each as {alpha, beta} "
    f"from {SEED_LEAST} to {SEED_LIMIT}. Defaults: 7 and 3, 2 and 8, 1 and 9.",
}
#: Which bindings: for unbind and bindings.
BINDING_FILTERS = {
    "name": {**NAME, "description": "Only bindings of this profile."},
    "actor": {**ACTOR, "description": "Only bindings of this actor (* for those of everybody)."},
    "namespace": {**forms.NAMESPACE, "description": "Only bindings of this namespace, or of *."},
    "consumer_kind": {**CONSUMER_KIND, "description": "Only bindings of this kind, or of *."},
}


def seeds(args: Arguments) -> Weights:
    """Return the priors that a call asks for.

    Raises:
        InvalidInput: a number is not one that a prior can have.
    """
    given = args.get("seed_priors", {})
    for weight, pair in given.items():
        for name, value in pair.items():
            # Also refuses what is no number at all (NaN compares with nothing).
            if not SEED_LEAST <= value <= SEED_LIMIT:
                raise InvalidInput(
                    f"seed_priors.{weight}.{name} is {str(value)[:40]}, which no prior can be.",
                    hint=f"Use a number from {SEED_LEAST} to {SEED_LIMIT}; alpha / (alpha + beta) "
                    "is the weight, and their sum is how many observations it is worth.",
                )
    pairs = {name: (float(pair["alpha"]), float(pair["beta"])) for name, pair in given.items()}
    return Weights(**{name: Beta(*pair) for name, pair in pairs.items()})


def consumer_kind(context: Context, asked: str, *, any_allowed: bool = False) -> str:
    """Return a kind of consumer that some pack declares, or `*`.

    Raises:
        InvalidInput: no pack declares it.
    """
    kinds = context.consumer_kinds
    if asked in kinds or (any_allowed and asked == ANY):
        return asked
    known = [*kinds, *([ANY] if any_allowed else [])]
    raise InvalidInput(
        f"No pack declares the kind of consumer {asked[:80]!r}.",
        hint=f"Use one of: {', '.join(known)}.",
    )


def binding_filter(args: Arguments) -> BindingFilter:
    """Return the filter that a call's arguments ask for."""
    return BindingFilter(
        args.get("name"), args.get("actor"), args.get("namespace"), args.get("consumer_kind")
    )


def text(args: Arguments, name: str, default: str = "") -> str:
    """Return a short text among the arguments; raises InvalidInput if it is not Unicode."""
    return ingest.check_text(args.get(name, default), name)


def show_posterior(posterior: Beta) -> Answer:
    """Return a posterior as mean, credible interval, and how many observations it is worth."""
    low, high = posterior.interval()
    return {
        "mean": round(posterior.mean, 4),
        "interval_90": [round(low, 4), round(high, 4)],
        "ess": round(posterior.ess, 2),
    }


def show_profile(profile: Profile) -> Answer:
    """Return a profile as agents and people see it."""
    shown: dict[str, object] = {
        "name": profile.name,
        "lifecycle": profile.lifecycle,
        "consumer_kind": profile.consumer_kind,
        "weights": {name: show_posterior(beta) for name, beta in profile.weights.items()},
        "events": profile.events,
        "resets": profile.epoch,
        "created_at": forms.timestamp(profile.created_at),
        "updated_at": forms.timestamp(profile.updated_at),
    }
    if profile.description:
        shown["description"] = profile.description
    if profile.builtin:
        shown["builtin"] = "serves whatever no binding names"
    return shown


def show_binding(binding: Binding) -> Answer:
    """Return a binding as agents and people see it."""
    return {
        "profile": binding.profile,
        "actor": binding.actor,
        "namespace": binding.namespace,
        "consumer_kind": binding.consumer_kind,
        "priority": binding.priority,
        "created_at": forms.timestamp(binding.created_at),
    }


def show_targets(context: Context, targets: Iterable[tuple[int, Target]]) -> list[Answer]:
    """Return what is learned of entries, of those whose namespaces are allowed here."""
    learned = dict(targets)
    return [
        {
            "id": forms.show_id(entry.collection, entry.id),
            **show_posterior(learned[entry.id].posterior),
            "events": learned[entry.id].events,
            "line": forms.line(entry),
        }
        for entry in context.store.entries.get(list(learned))
        if namespace_allowed(context.config, entry.namespace)
    ]
