"""The verb of batches."""

from __future__ import annotations

from khive_supervisor.access.grant import Audience
from khive_supervisor.packs.batch.running import MOST, SECONDS, run
from khive_supervisor.verbs import schema
from khive_supervisor.verbs.registry import Pack, Verb

PACK = Pack(
    "batch",
    "Several calls at once.",
    (
        Verb(
            "batch.run",
            "Run several calls in one transaction: all of them are done, or none.",
            run,
            {
                "calls": schema.array(
                    schema.record(),
                    'Calls in order: {"verb": "memory.get", "args": {"ids": ["m1"]}}. An argument '
                    "$prev is what the call before answers with (its id), $prev.path.0.id a part "
                    "of that, $2 is of the second call; a text that begins with a dollar has two.",
                    fewest=1,
                    most=MOST,
                ),
                "key": schema.text(
                    "A name of your own: with the same one, the same calls are done once.",
                    shortest=1,
                    longest=200,
                ),
            },
            ("calls",),
            description=f"At most {MOST} calls and {SECONDS:g} seconds. Verbs that search, wait, "
            "or ask anybody but the store are refused. The answers are in `results`.",
            may_wait=True,
            audience=Audience.AGENT,
        ),
    ),
)
