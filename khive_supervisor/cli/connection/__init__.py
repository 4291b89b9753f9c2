"""How a command reaches the verbs: through a supervisor, or in its own process."""
