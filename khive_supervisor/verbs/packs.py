"""The built-in packs, and how all packs are loaded."""

from __future__ import annotations

from dataclasses import replace

from khive_supervisor.verbs import agents, brain, index, knowledge, memory, registry, system


def _rehearse() -> None:
    # Imported here: only the zygote rehearses, and the command line need not load numpy for it.
    from khive_supervisor.verbs.rehearsal import rehearse

    rehearse()


BUILTIN = (
    replace(memory.PACK, warm=_rehearse),
    knowledge.PACK,
    brain.PACK,
    agents.PACK,
    index.PACK,
    system.PACK,
)


def load() -> registry.Registry:
    """The registry with the built-in packs and those of other distributions."""
    return registry.load(BUILTIN)
