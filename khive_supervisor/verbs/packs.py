"""The built-in packs, and how all packs are loaded."""

from __future__ import annotations

from khive_supervisor.verbs import index, knowledge, memory, registry, system

BUILTIN = (memory.PACK, knowledge.PACK, index.PACK, system.PACK)


def load() -> registry.Registry:
    """The registry with the built-in packs and those of other distributions."""
    return registry.load(BUILTIN)
