"""The embedder that the configuration asks for, by where it is used.

The bundled model is imported when it is wanted: onnxruntime costs 100 ms and 30 MB.
"""

from __future__ import annotations

from khive_supervisor.config.settings.search import EmbedderSettings
from khive_supervisor.embed.base import Embedder
from khive_supervisor.embed.bundled import model_files
from khive_supervisor.embed.client import EmbedderClient
from khive_supervisor.embed.names import embedder_socket


def in_process(settings: EmbedderSettings) -> Embedder | None:
    """Return an embedder that computes here, or asks its endpoint; None for kind "none".

    Raises:
        BootFailure: the bundled model cannot be loaded.
    """
    if settings.kind == "minilm":
        from khive_supervisor.embed.minilm import MiniLM

        return MiniLM(settings.threads)
    return _endpoint(settings)


def for_worker(settings: EmbedderSettings, supervisor_socket: str) -> Embedder | None:
    """Return one that asks the supervisor's embedder process or its endpoint; connects lazily."""
    if settings.kind == "minilm":
        model = model_files()
        return EmbedderClient(
            embedder_socket(supervisor_socket),
            model.model_id,
            model.dimensions,
            deadline=settings.timeout,
        )
    return _endpoint(settings)


def _endpoint(settings: EmbedderSettings) -> Embedder | None:
    if settings.kind != "openai":
        return None
    # Imported here: HTTP costs 60 ms, and few configurations have an endpoint.
    from khive_supervisor.embed.openai import OpenAIEmbedder

    return OpenAIEmbedder(
        settings.url,
        settings.model,
        settings.dimensions,
        api_key_env=settings.api_key_env,
        timeout=settings.timeout,
    )
