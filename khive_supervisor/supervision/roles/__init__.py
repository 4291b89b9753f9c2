"""The workers of roles, by generations."""
