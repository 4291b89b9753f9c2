"""Projects: what entries are about."""
