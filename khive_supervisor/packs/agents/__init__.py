"""The agents pack: roles, their tasks and budgets."""
