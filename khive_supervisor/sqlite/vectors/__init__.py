"""Vectors, how many there are, and the rows of the index's generations."""
