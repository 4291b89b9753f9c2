"""Several machines with one store: what a node's processes say, and in which order (pure)."""
