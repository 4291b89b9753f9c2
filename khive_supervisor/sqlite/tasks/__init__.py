"""Tasks, claims, roles and what they spend."""
