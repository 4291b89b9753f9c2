"""The brain pack: profiles that learn from feedback, and whom they serve."""

from __future__ import annotations

from khive_supervisor.access.grant import Audience
from khive_supervisor.packs.agents import ownership
from khive_supervisor.packs.brain import feedback, profiles
from khive_supervisor.packs.brain import profile_forms as shapes
from khive_supervisor.profiles.model import ANY, EVENT_GROUPS, PRIORITY_LIMIT
from khive_supervisor.profiles.names import LIFECYCLES
from khive_supervisor.profiles.signals import RATINGS, RECALL_HIT, RECALL_MISS
from khive_supervisor.text.plain_json import JsonObject
from khive_supervisor.verbs import forms, schema
from khive_supervisor.verbs.registry import Pack, Verb

_NAMED = {"name": shapes.NAME}
_PROFILE = {
    **shapes.NAME,
    "description": "The profile that served; the one that serves this session by default.",
}
_LABEL: JsonObject = schema.text(shortest=1, longest=200)
_PROFILES_FOUND = schema.record({"profiles": schema.array(schema.record())}, ["profiles"])
_RECORDED = schema.record(
    {
        "status": schema.text(choices=("recorded", "duplicate", "waiting")),
        "waiting": schema.whole("Its number, if it waits for the team's server."),
        "profile": schema.text(),
        "weight": schema.number(),
        "counted": schema.number(),
        "note": schema.text(),
    },
    ["status"],
)
_CREATED = schema.record({"name": schema.text(), "weights": schema.record()}, ["name", "weights"])

PACK = Pack(
    "brain",
    "Profiles that learn from feedback what ranks results.",
    (
        Verb(
            "brain.feedback",
            "Say whether an entry that was found was useful.",
            feedback.feedback,
            {
                "target": {**forms.ID, "description": "The entry, such as m12 or k7."},
                "signal": schema.text(
                    "explicit_*: the user said so; implicit_*: you conclude it; correction: the "
                    "user corrected it.",
                    choices=RATINGS,
                ),
                "profile": _PROFILE,
                "scorer_run": {
                    **_LABEL,
                    "description": "An automatic judgement's run; with serve, counted once.",
                },
                "serve": {**_LABEL, "description": "What was served: the recall's own name."},
            },
            ("target", "signal"),
            output=_RECORDED,
            description="Call it when a recalled entry helped or misled: the ranking learns it.",
            tool=True,
            with_roles=False,
            rare=frozenset(("profile", "scorer_run", "serve")),
            in_batch=True,
            may_wait=True,
            audience=Audience.AGENT,
        ),
        Verb(
            "brain.profiles",
            "List the profiles that rank results, with what they have learned.",
            profiles.profiles,
            {
                "lifecycle": schema.text("Only these.", choices=LIFECYCLES)
            },
            output=_PROFILES_FOUND,
            read_only=True,
            in_batch=True,
            audience=Audience.AGENT, shared=True,
        ),
        Verb(
            "brain.create_profile",
            "Create a profile that learns its own ranking.",
            profiles.create,
            {
                "name": shapes.NAME,
                "description": schema.text("What it is for.", longest=1000),
                "consumer_kind": {
                    **shapes.CONSUMER_KIND,
                    "description": "What it ranks: recall (the default), search, or another "
                    "pack's kind.",
                },
                "seed_priors": shapes.SEEDS,
            },
            ("name",),
            output=_CREATED,
            description="All sessions see it at once. It serves whom brain.bind names.",
            in_batch=True,
            audience=Audience.AGENT, shared=True,
        ),
        Verb(
            "brain.profile",
            "Show one profile: its posteriors, its best targets, its bindings.",
            profiles.profile,
            {
                "name": shapes.NAME,
                "targets": schema.whole(
                    f"How many targets at most ({profiles.TOP_TARGETS}).", least=0, most=100
                ),
            },
            ("name",),
            read_only=True,
            in_batch=True,
            audience=Audience.AGENT, shared=True,
        ),
        Verb(
            "brain.resolve",
            "Say which profile serves a call, and why.",
            profiles.resolve,
            {
                "consumer_kind": {
                    **shapes.CONSUMER_KIND,
                    "description": "recall (the default), search, or another pack's kind.",
                },
                "actor": {**shapes.ACTOR, "description": "Who asks; this session by default."},
                "namespace": forms.NAMESPACE,
            },
            description="The binding that names the most of actor, namespace and consumer_kind "
            "decides, then the higher priority; only active profiles serve.",
            read_only=True,
            audience=Audience.AGENT, shared=True,
        ),
        Verb(
            "brain.bind",
            "Let a profile serve an actor, a namespace or a kind of consumer.",
            profiles.bind,
            {
                "name": shapes.NAME,
                "actor": {**shapes.ACTOR, "description": f"Whom it serves ({ANY}: everybody)."},
                "namespace": {
                    **forms.NAMESPACE,
                    "description": f"In which namespace ({ANY}: in all).",
                },
                "consumer_kind": {
                    **shapes.CONSUMER_KIND,
                    "description": f"For recall, search, or another pack's kind ({ANY}: all).",
                },
                "priority": schema.whole(
                    "Decides among bindings that name equally many fields (0); "
                    "two that could tie are refused.",
                    least=-PRIORITY_LIMIT,
                    most=PRIORITY_LIMIT,
                ),
            },
            ("name",),
            description="A binding of the same three fields is replaced.",
            idempotent=True,
            in_batch=True,
            audience=Audience.AGENT, reserved=ownership.others_bindings, shared=True,
        ),
        Verb("brain.unbind", "Remove bindings; at least one filter has to be given.",
             profiles.unbind, shapes.BINDING_FILTERS, idempotent=True,
             in_batch=True,
            audience=Audience.AGENT, reserved=ownership.others_bindings, shared=True),
        Verb("brain.bindings", "List who is served by which profile.",
             profiles.bindings, shapes.BINDING_FILTERS, read_only=True,
             audience=Audience.AGENT, shared=True),
        Verb("brain.activate", "Let a profile that was deactivated serve again.",
             profiles.activate, _NAMED, ("name",), idempotent=True,
             audience=Audience.OPERATOR, shared=True,
             because="it changes how others are served"),
        Verb("brain.deactivate", "Let a profile serve nothing for now; its bindings stay.",
             profiles.deactivate, _NAMED, ("name",), idempotent=True,
             audience=Audience.OPERATOR, shared=True,
             because="it changes how others are served"),
        Verb("brain.archive", "Put an inactive profile away for good.",
             profiles.archive, _NAMED, ("name",), idempotent=True,
             audience=Audience.OPERATOR, shared=True,
             because="it ends what others are served by"),
        Verb("brain.reset", "Take a profile back to its priors; its events stay.",
             profiles.reset, _NAMED, ("name",),
             audience=Audience.OPERATOR, shared=True,
             because="what everybody has taught the profile would be gone"),
        Verb(
            "brain.auto_feedback",
            "Say how a whole recall went.",
            feedback.auto_feedback,
            {
                "query": schema.text("What was asked.", longest=10_000),
                "results": schema.array(
                    schema.record({"id": forms.ID}, ["id"]),
                    "What was found; other fields of a result are ignored.",
                    most=100,
                ),
                "target": {**forms.ID, "description": "The result that helped."},
                "signal": schema.text(
                    "recall_miss: nothing helped. With a target, recall_hit is "
                    "meant; without either, you abstain.",
                    choices=(RECALL_HIT, RECALL_MISS),
                ),
                "latency_us": schema.whole(
                    "Microseconds that the recall took.", least=0, most=10**12
                ),
                "profile": _PROFILE,
            },
            ("query", "results"),
            output=_RECORDED,
            description="A target is a hit of it; signal recall_miss says that none helped; with "
            "neither, the recall is noted and nothing counts.",
            audience=Audience.AGENT,
        ),
        Verb(
            "brain.event_counts",
            "Count the events of profiles in a stretch of time.",
            feedback.event_counts,
            {
                "since": schema.text("From when: ISO 8601, or an age such as 7d or 12h."),
                "until": schema.text("Until when (now); same forms."),
                "group": schema.text(
                    "By what they are counted (kind); days are those of UTC.", choices=EVENT_GROUPS
                ),
                "actor": {**shapes.ACTOR, "description": "Only this actor's; all by default."},
                "feedback": schema.flag("Only feedback: no making, no reset."),
            },
            ("since",),
            read_only=True,
            audience=Audience.AGENT, shared=True,
        ),
        Verb(
            "brain.replay",
            "Compute profiles again from their events and compare; writes nothing.",
            feedback.replay,
            {"name": {**shapes.NAME, "description": "Only this profile; all by default."}},
            read_only=True,
            audience=Audience.AGENT, shared=True,
        ),
    ),
)  # fmt: skip
