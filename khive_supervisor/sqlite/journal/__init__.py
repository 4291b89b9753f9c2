"""The tables of sessions' journals and of capturing."""
