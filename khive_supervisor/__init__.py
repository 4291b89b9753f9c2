"""One supervisor, one mapped index and one durable memory for all sessions of a user."""

__version__ = "0.2.0"
