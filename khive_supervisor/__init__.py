"""One supervisor, one mapped index and one durable memory for all sessions of a user."""

__version__ = "0.10.0"
#: Sessions that wait since 0.2.0 ask for this name when they attach again; nothing is in it.
attach_start = None
