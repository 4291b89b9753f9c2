"""Session workers: one for each client."""
