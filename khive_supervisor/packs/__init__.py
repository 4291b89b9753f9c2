"""The built-in packs of verbs, and how all packs are loaded."""
