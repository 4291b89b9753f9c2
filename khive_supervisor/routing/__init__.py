"""Which candidate of a role does a task, pure: rules, breakers, budgets, and what was learned.

Nothing here is stored (`sqlite.tasks.routing` does that), and nothing asks a clock or draws by
itself. A candidate is known by its digest: that of all that its work depends on.
"""
