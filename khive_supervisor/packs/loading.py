"""The built-in packs, and how all packs are loaded."""

from __future__ import annotations

from dataclasses import replace

from khive_supervisor.packs.agents import pack as agents
from khive_supervisor.packs.batch import pack as batch
from khive_supervisor.packs.brain import pack as brain
from khive_supervisor.packs.capture import journal
from khive_supervisor.packs.capture import pack as capture
from khive_supervisor.packs.channels import pack as channels
from khive_supervisor.packs.curation import pack as curation
from khive_supervisor.packs.curation import purging
from khive_supervisor.packs.graph import pack as graph
from khive_supervisor.packs.history import pack as history
from khive_supervisor.packs.hooks import pack as hooks
from khive_supervisor.packs.memory import knowledge, projects
from khive_supervisor.packs.memory import pack as memory
from khive_supervisor.packs.system import index
from khive_supervisor.packs.system import pack as system
from khive_supervisor.packs.workflows import pack as workflows
from khive_supervisor.verbs import registry


def _warm_up() -> None:
    # Imported here: only the zygote rehearses, and the command line need not load numpy for it.
    from khive_supervisor.packs.warm_up import warm_up

    warm_up()


BUILTIN = (
    replace(memory.PACK, warm=_warm_up),
    knowledge.PACK,
    purging.PACK,
    projects.PACK,
    curation.PACK,
    graph.PACK,
    batch.PACK,
    brain.PACK,
    agents.PACK,
    history.PACK,
    channels.PACK,
    workflows.PACK,
    index.PACK,
    system.PACK,
    hooks.PACK,
    hooks.SESSIONS,
    capture.PACK,
    capture.REVIEW,
    journal.PACK,
)


def load() -> registry.Registry:
    """Return the registry with the built-in packs and those of other distributions."""
    return registry.load(BUILTIN)
