"""Transcripts of clients: what their files hold, where they are, and how far they were read."""
