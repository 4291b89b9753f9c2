"""The history pack: what was tried, how it ended, and what led to it."""
