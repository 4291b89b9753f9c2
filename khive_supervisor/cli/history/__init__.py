"""Commands on what roles have tried, and how it ended."""
