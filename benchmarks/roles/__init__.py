"""Tasks: queues, budgets, selection, memory."""
