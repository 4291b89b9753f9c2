"""The verbs of links."""

from __future__ import annotations

from khive_supervisor.access.grant import Audience
from khive_supervisor.graph import lines
from khive_supervisor.packs.graph import linking, walking
from khive_supervisor.packs.graph.walking import FAR, ID, MOST_SHOWN, NEAR, SHOWN, WHERE
from khive_supervisor.verbs import schema
from khive_supervisor.verbs.registry import Pack, Verb

PACK = Pack(
    "graph",
    "How entries are linked.",
    (
        Verb(
            "graph.link",
            "Link an entry with another one, or with code that it is about.",
            linking.link,
            {**linking.ENDS, **linking.TIMES},
            ("from", "kind", "to"),
            description="A kind that the two cannot have is refused, and those that they can have "
            "are named. supersedes takes the second out of every search.",
            idempotent=True,
            in_batch=True,
            may_wait=True,
            audience=Audience.AGENT,
        ),
        Verb(
            "graph.unlink",
            "End a link; it is kept as something that was so once.",
            linking.unlink,
            linking.ENDS,
            ("from", "kind", "to"),
            in_batch=True,
            may_wait=True,
            audience=Audience.AGENT,
        ),
        Verb(
            "graph.neighbors",
            "Name what an entry is linked with, the nearest first.",
            walking.neighbors,
            {
                "of": ID,
                **WHERE,
                "depth": schema.whole(f"Links to the furthest ({NEAR[0]}).", least=1, most=NEAR[1]),
                "limit": schema.whole(f"How many at most ({SHOWN}).", least=1, most=MOST_SHOWN),
                "ended": schema.flag("Also links that ended, or do not hold now."),
            },
            ("of",),
            as_text=lines.neighbors,
            read_only=True,
            quick=True,
            in_batch=True,
            audience=Audience.AGENT,
        ),
        Verb(
            "graph.path",
            "Name a shortest way along links from one entry to another one.",
            walking.path,
            {
                "from": ID,
                "to": ID,
                **WHERE,
                "depth": schema.whole(f"Links of it at most ({FAR[0]}).", least=1, most=FAR[1]),
            },
            ("from", "to"),
            as_text=lines.path,
            read_only=True,
            in_batch=True,
            audience=Audience.AGENT,
        ),
    ),
)
