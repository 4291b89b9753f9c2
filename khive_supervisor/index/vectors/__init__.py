"""Generations of the vector index, and the search of them."""
