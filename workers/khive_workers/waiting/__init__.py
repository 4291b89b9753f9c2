"""Applying the writes that wait on this machine, once its team's server is back."""
