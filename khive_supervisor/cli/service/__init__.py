"""Commands on the supervisor itself."""
