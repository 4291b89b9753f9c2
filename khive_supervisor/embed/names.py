"""What an embedder is called: the vector space of its model, and the socket of its process.

The supervisor needs the names alone, so numpy is not imported here.
"""

from __future__ import annotations

from khive_supervisor.config.settings.search import EmbedderSettings
from khive_supervisor.embed.bundled import model_files


def model_id_of(settings: EmbedderSettings) -> str | None:
    """Return what names the vector space of a configuration; None when it has no embedder."""
    if settings.kind == "minilm":
        return model_files().model_id
    if settings.kind == "openai":
        return endpoint_model_id(settings.model, settings.dimensions)
    return None


def endpoint_model_id(model: str, dimensions: int) -> str:
    """Return the id of an endpoint's model: its name and length, wherever it is served."""
    return f"openai/{model}/{dimensions}"


def embedder_socket(supervisor_socket: str) -> str:
    """Return the path of the embedder process's socket, beside its supervisor's."""
    return supervisor_socket.removesuffix(".sock") + ".embed"
