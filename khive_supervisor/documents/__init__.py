"""Documents as entries: text, Markdown, JSON Lines and PDF cut into pieces that can be found."""

from __future__ import annotations

from khive_supervisor.documents.jsonl import split_jsonl
from khive_supervisor.documents.markdown import sections, split_markdown
from khive_supervisor.documents.model import (
    PIECE,
    TITLE_LIMIT,
    WHOLE,
    DocumentEntry,
    DocumentProblem,
    LeftOut,
)
from khive_supervisor.documents.pieces import pieces
from khive_supervisor.documents.plain import split_text

__all__ = [
    "PIECE",
    "TITLE_LIMIT",
    "WHOLE",
    "DocumentEntry",
    "DocumentProblem",
    "LeftOut",
    "pieces",
    "sections",
    "split_jsonl",
    "split_markdown",
    "split_text",
]
