"""Hooks: what clients tell while a session goes on, and what they are told for it."""
