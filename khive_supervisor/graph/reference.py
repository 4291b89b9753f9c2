"""The kinds of links as a table, for docs/graph.md. Pure."""

from __future__ import annotations

from khive_supervisor.graph.ontology import ONTOLOGY, LinkKind


def reference() -> str:
    """Return the kinds as a table in Markdown."""
    lines = ["| kind | from its other end | says of where it begins | from, to | |",
             "|---|---|---|---|---|"]  # fmt: skip
    lines += [
        f"| `{kind.name}` | `{kind.inverse}` | {kind.meaning} | {kind.signature} | {_marks(kind)} |"
        for kind in ONTOLOGY.values()
    ]
    return "\n".join(lines) + "\n"


def _marks(kind: LinkKind) -> str:
    said = {"the same from either end": kind.symmetric, "no circles": kind.acyclic}
    return ", ".join(words for words, true in said.items() if true)
