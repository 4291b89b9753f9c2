"""The verbs, their schemas, and the registry that every surface calls."""
