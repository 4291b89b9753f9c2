"""The store as a confined session has it: its namespaces, and no sign of any other one.

The one place where what is stored is held to a grant. A verb uses `context.store` as always, and
gets this in the place of the store; so do verbs of foreign packs. What belongs to another
namespace is answered like what is not there at all, in the same words. Whatever of the store is
not named here, a facet or a method of one, is refused: it is for confined sessions once it has been
thought about.
"""
