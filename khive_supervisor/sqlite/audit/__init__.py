"""The audit chain's table."""
