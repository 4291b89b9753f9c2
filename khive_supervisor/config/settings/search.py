"""The settings of finding things: embedder, index, search, profiles; see `model`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from khive_supervisor.config.settings.values import declare

_MINUTE = 60.0
_VARIABLE = r"[A-Za-z_][A-Za-z0-9_]*"


@dataclass(frozen=True, slots=True)
class EmbedderSettings:
    """Where texts become vectors."""

    kind: Literal["minilm", "openai", "none"] = declare(
        "minilm",
        "text",
        "The bundled model (all-MiniLM-L6-v2), an OpenAI-compatible endpoint, or none: "
        "search is full text only then.",
        choices=("minilm", "openai", "none"),
        trust="user",
    )
    threads: int = declare(
        1,
        "integer",
        "Threads of the bundled model; one answers a query in 1-2 ms.",
        minimum=1,
        maximum=64,
        trust="user",
    )
    url: str = declare(
        "",
        "text",
        "The endpoint's base, such as http://127.0.0.1:11434/v1; needed by openai.",
        maximum=2000,
        pattern=r"https?://[^\s/@?#]+(/[^\s@?#]*)?",
        form="http:// or https://, without credentials",
        optional=True,
        private=True,
        trust="user",
    )
    model: str = declare(
        "",
        "text",
        "The endpoint's name of the model; needed by openai.",
        maximum=200,
        optional=True,
        trust="user",
    )
    dimensions: int = declare(
        0,
        "integer",
        "The length of the endpoint's vectors; needed by openai. The bundled model has 384.",
        minimum=0,
        maximum=8192,
        trust="user",
    )
    api_key_env: str = declare(
        "",
        "text",
        "The name of the environment variable that holds the endpoint's key; the key itself "
        "is never in the configuration.",
        maximum=200,
        pattern=_VARIABLE,
        form="the name of an environment variable, not the key",
        optional=True,
        private=True,
        trust="user",
    )
    timeout: float = declare(
        10.0,
        "duration",
        "How long one batch of texts may take; search goes on with full text after it.",
        applies="session",
        minimum=0.05,
        maximum=10 * _MINUTE,
        trust="user",
    )


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """The nearest-neighbour index and when its next generation is built."""

    rebuild_share: float = declare(
        0.05,
        "number",
        "Build the next generation when this share of the vectors is newer than the index.",
        applies="live",
        minimum=0.001,
        maximum=1,
        trust="user",
    )
    rebuild_minimum: int = declare(
        1000,
        "integer",
        "But not before this many vectors are newer: so many are searched exactly in no time.",
        applies="live",
        minimum=1,
        maximum=1_000_000,
        trust="user",
    )
    trees: int = declare(
        50,
        "integer",
        "Trees of a generation. They answer where a generation has no sketch (above a million "
        "entries); more find more there, and take more disk and building time.",
        applies="live",
        minimum=1,
        maximum=1000,
        trust="user",
    )
    search_k: int = declare(
        0,
        "integer",
        "Nodes of the trees that one search inspects where there is no sketch: more find more "
        "and take longer; 0 chooses by itself.",
        applies="session",
        minimum=0,
        maximum=10_000_000,
        trust="user",
    )


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """How results are found and ranked; the weight of relevance is what the others leave of 1."""

    candidates: int = declare(
        100,
        "integer",
        "Results that full text and meaning each contribute before they are merged.",
        applies="session",
        minimum=10,
        maximum=1000,
        trust="project",
        project_maximum=200,
    )
    max_query_characters: int = declare(
        20_000,
        "integer",
        "The longest query; a longer one is refused.",
        applies="session",
        minimum=100,
        maximum=1_000_000,
        trust="project",
        project_maximum=20_000,
    )


@dataclass(frozen=True, slots=True)
class ProfileSettings:
    """What profiles learn from."""

    implicit_feedback: bool = declare(
        True,
        "boolean",
        "Learn from what agents do with what they recalled: reading, citing, correcting it.",
        applies="session",
        trust="project",
        project_maximum=0,
    )
