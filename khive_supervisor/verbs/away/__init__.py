"""Calls that may wait while a team's server is away."""
