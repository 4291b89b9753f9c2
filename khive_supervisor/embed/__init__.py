"""Texts to unit vectors: the bundled model, its tokenizer, and the client of its process."""

from khive_supervisor.embed.factory import embedder_socket, for_worker, in_process, model_id_of

__all__ = ["embedder_socket", "for_worker", "in_process", "model_id_of"]
