"""The brain pack's verbs on profiles and bindings: make, show, resolve, bind, reset."""

from __future__ import annotations

from dataclasses import replace

from khive_supervisor.errors import InvalidInput
from khive_supervisor.packs.brain import profile_forms as shapes
from khive_supervisor.profiles.model import ANY, Binding, BindingFilter
from khive_supervisor.profiles.names import ACTIVE, ARCHIVED, INACTIVE, missing
from khive_supervisor.profiles.resolve import Resolution
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Answer, Arguments

#: Targets that brain.profile shows by default.
TOP_TARGETS = 10


def create(context: Context, args: Arguments) -> Answer:
    """Make a profile that starts with its priors."""
    kind = shapes.consumer_kind(context, args.get("consumer_kind", "recall"))
    profile = context.store.profiles.create(
        shapes.text(args, "name"), shapes.text(args, "description"), kind, shapes.seeds(args)
    )
    context.profiles.changed()
    return {**shapes.show_profile(profile), "next": "brain.bind says whom it serves."}


def profiles(context: Context, args: Arguments) -> Answer:
    """Return all profiles, or those of a lifecycle."""
    found = context.store.profiles.all(args.get("lifecycle"))
    return {"profiles": [shapes.show_profile(profile) for profile in found]}


def profile(context: Context, args: Arguments) -> Answer:
    """Return a profile with what it has learned of entries, and whom it serves."""
    name = args["name"].strip()
    found = context.store.profiles.find(name)
    if found is None:
        raise missing(name)
    targets = context.store.profiles.top_targets(found.id, args.get("targets", TOP_TARGETS))
    bindings = context.store.bindings.all(BindingFilter(profile=name))
    return {
        **shapes.show_profile(found),
        "targets": shapes.show_targets(context, targets),
        "bindings": [shapes.show_binding(binding) for binding in bindings],
    }


def resolved(
    context: Context, kind: str, actor: str | None = None, namespace: str | None = None
) -> Resolution:
    """Return the profile that serves a kind of call, of this session unless others are named."""
    return context.profiles.snapshot().resolve(
        context.session.actor if actor is None else actor, context.namespace(namespace), kind
    )


def resolve(context: Context, args: Arguments) -> Answer:
    """Say which profile serves, and why."""
    kind = shapes.consumer_kind(context, args.get("consumer_kind", "recall"))
    found = resolved(context, kind, args.get("actor"), args.get("namespace"))
    answer: dict[str, object] = {
        "profile": found.profile.name,
        "weights": {name: round(beta.mean, 4) for name, beta in found.profile.weights.items()},
    }
    if found.binding is None:
        return {**answer, "why": "no binding of an active profile matches: the built-in one serves"}
    return {
        **answer,
        "why": "of the bindings that match, this one names most",
        "binding": shapes.show_binding(found.binding),
    }


def bind(context: Context, args: Arguments) -> Answer:
    """Let a profile serve an actor, a namespace, a kind of consumer, or any of them."""
    namespace = shapes.text(args, "namespace", ANY)
    kind = shapes.consumer_kind(context, args.get("consumer_kind", ANY), any_allowed=True)
    binding = Binding(
        profile=args["name"].strip(),
        actor=shapes.text(args, "actor", ANY),
        namespace=namespace if namespace == ANY else context.namespace(namespace),
        consumer_kind=kind,
        priority=args.get("priority", 0),
    )
    before = context.store.bindings.bind(binding)
    context.profiles.changed()
    bound = replace(binding, created_at=context.now())
    answer: dict[str, object] = {"bound": shapes.show_binding(bound)}
    if before is not None:
        answer["replaced"] = shapes.show_binding(before)
    if not context.profiles.find(binding.profile).active:
        answer["note"] = f"{binding.profile} is inactive: it serves once it is activated."
    return answer


def unbind(context: Context, args: Arguments) -> Answer:
    """Remove the bindings that a filter names."""
    where = shapes.binding_filter(args)
    if where == BindingFilter():
        raise InvalidInput(
            "brain.unbind names nothing; it does not remove all bindings at once.",
            hint="Give at least one of name, actor, namespace, consumer_kind; "
            "brain.bindings lists what there is.",
        )
    removed = context.store.bindings.unbind(where)
    context.profiles.changed()
    return {"removed": [shapes.show_binding(binding) for binding in removed]}


def bindings(context: Context, args: Arguments) -> Answer:
    """Return the bindings, or those that a filter names."""
    found = context.store.bindings.all(shapes.binding_filter(args))
    return {"bindings": [shapes.show_binding(binding) for binding in found]}


def _set_lifecycle(context: Context, args: Arguments, lifecycle: str) -> Answer:
    changed = context.store.profiles.set_lifecycle(args["name"].strip(), lifecycle)
    context.profiles.changed()
    return shapes.show_profile(changed)


def activate(context: Context, args: Arguments) -> Answer:
    """Let a profile serve again."""
    return _set_lifecycle(context, args, ACTIVE)


def deactivate(context: Context, args: Arguments) -> Answer:
    """Let a profile serve nothing for now."""
    return _set_lifecycle(context, args, INACTIVE)


def archive(context: Context, args: Arguments) -> Answer:
    """Put a profile away for good; what it has learned can still be read."""
    return _set_lifecycle(context, args, ARCHIVED)


def reset(context: Context, args: Arguments) -> Answer:
    """Back to the priors; the events stay."""
    changed = context.store.profiles.reset(args["name"].strip())
    context.profiles.changed()
    return shapes.show_profile(changed)
