"""Role workers: one role's tasks, one at a time."""
