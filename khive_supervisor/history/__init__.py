"""Attempts at tasks that have ended, as knowledge: what each tells, and what many tell together."""
