"""Journals of clients' sessions, and what is captured from them."""
