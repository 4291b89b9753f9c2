"""The settings of finding things: embedder, index, search, profiles; see `model`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from khive_supervisor.config.settings.values import declare, users_own

_MINUTE = 60.0
_VARIABLE = r"[A-Za-z_][A-Za-z0-9_]*"


@dataclass(frozen=True, slots=True)
class EmbedderSettings:
    """Where texts become vectors."""

    kind: Literal["minilm", "openai", "none"] = users_own(
        "minilm",
        "text",
        "The bundled model (all-MiniLM-L6-v2), an OpenAI-compatible endpoint, or none: "
        "search is full text only then.",
        choices=("minilm", "openai", "none"),
    )
    threads: int = users_own(
        1,
        "integer",
        "Threads of the bundled model; one answers a query in 1-2 ms.",
        bounds=(1, 64),
    )
    url: str = users_own(
        "",
        "text",
        "The endpoint's base, such as http://127.0.0.1:11434/v1; needed by openai.",
        bounds=(None, 2000),
        pattern=r"https?://[^\s/@?#]+(/[^\s@?#]*)?",
        form="http:// or https://, without credentials",
        optional=True,
        private=True,
    )
    model: str = users_own(
        "",
        "text",
        "The endpoint's name of the model; needed by openai.",
        bounds=(None, 200),
        optional=True,
    )
    dimensions: int = users_own(
        0,
        "integer",
        "The length of the endpoint's vectors; needed by openai. The bundled model has 384.",
        bounds=(0, 8192),
    )
    api_key_env: str = users_own(
        "",
        "text",
        "The name of the environment variable that holds the endpoint's key; the key itself "
        "is never in the configuration.",
        bounds=(None, 200),
        pattern=_VARIABLE,
        form="the name of an environment variable, not the key",
        optional=True,
        private=True,
    )
    timeout: float = users_own(
        10.0,
        "duration",
        "How long one batch of texts may take; search goes on with full text after it.",
        applies="session",
        bounds=(0.05, 10 * _MINUTE),
    )


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """The nearest-neighbour index and when its next generation is built."""

    rebuild_share: float = users_own(
        0.05,
        "number",
        "Build the next generation when this share of the vectors is newer than the index.",
        applies="live",
        bounds=(0.001, 1),
    )
    rebuild_minimum: int = users_own(
        1000,
        "integer",
        "But not before this many vectors are newer: so many are searched exactly in no time.",
        applies="live",
        bounds=(1, 1_000_000),
    )
    trees: int = users_own(
        50,
        "integer",
        "Trees of a generation. They answer where a generation has no sketch (above a million "
        "entries); more find more there, and take more disk and building time.",
        applies="live",
        bounds=(1, 1000),
    )
    search_k: int = users_own(
        0,
        "integer",
        "Nodes of the trees that one search inspects where there is no sketch: more find more "
        "and take longer; 0 chooses by itself.",
        applies="session",
        bounds=(0, 10_000_000),
    )


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """How results are found and ranked; the weight of relevance is what the others leave of 1."""

    candidates: int = declare(
        100,
        "integer",
        "Results that full text and meaning each contribute before they are merged.",
        applies="session",
        bounds=(10, 1000),
        trust="project",
        project_maximum=200,
    )
    floor: float = declare(
        0.5,
        "number",
        "How well a result must fit a query to be shown, 0 to 1; 0 shows whatever comes nearest.",
        applies="session",
        bounds=(0, 1),
        trust="project",
        project_maximum=0.9,
    )
    max_query_characters: int = declare(
        20_000,
        "integer",
        "The longest query; a longer one is refused.",
        applies="session",
        bounds=(100, 1_000_000),
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
