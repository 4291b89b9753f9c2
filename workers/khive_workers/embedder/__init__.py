"""The embedder process: the one copy of the model."""
