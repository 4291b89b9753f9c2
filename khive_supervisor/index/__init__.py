"""Immutable index generations and the search of what is newer than them."""
