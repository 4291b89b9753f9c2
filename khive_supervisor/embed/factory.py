"""The embedder that the configuration asks for, by where it is used.

Each kind is imported when it is wanted: onnxruntime costs 100 ms and 30 MB, HTTP 60 ms, and the
supervisor, which only asks for the name of the model, needs none of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from khive_supervisor.config.settings.search import EmbedderSettings
from khive_supervisor.embed.bundled import model_files

if TYPE_CHECKING:
    from khive_supervisor.embed.base import Embedder


def model_id_of(settings: EmbedderSettings) -> str | None:
    """What names the vector space of a configuration; None when it has no embedder."""
    if settings.kind == "minilm":
        return model_files().model_id
    if settings.kind == "openai":
        return endpoint_model_id(settings.model, settings.dimensions)
    return None


def endpoint_model_id(model: str, dimensions: int) -> str:
    """The id of an endpoint's model: its name and length, wherever it is served."""
    return f"openai/{model}/{dimensions}"


def embedder_socket(supervisor_socket: str) -> str:
    """The path of the embedder process's socket, beside its supervisor's."""
    return supervisor_socket.removesuffix(".sock") + ".embed"


def in_process(settings: EmbedderSettings) -> Embedder | None:
    """An embedder that computes in this process, or asks its endpoint; None for kind "none".

    Raises:
        BootFailure: the bundled model cannot be loaded.
    """
    if settings.kind == "minilm":
        from khive_supervisor.embed.minilm import MiniLM

        return MiniLM(settings.threads)
    return _endpoint(settings)


def for_worker(settings: EmbedderSettings, supervisor_socket: str) -> Embedder | None:
    """An embedder that asks the supervisor's embedder process, or its endpoint; connects lazily."""
    if settings.kind == "minilm":
        from khive_supervisor.embed.client import EmbedderClient

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
    from khive_supervisor.embed.openai import OpenAIEmbedder

    return OpenAIEmbedder(
        settings.url,
        settings.model,
        settings.dimensions,
        api_key_env=settings.api_key_env,
        timeout=settings.timeout,
    )
