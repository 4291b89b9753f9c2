"""Texts to unit vectors: the bundled model, its tokenizer, and the client of its process."""
