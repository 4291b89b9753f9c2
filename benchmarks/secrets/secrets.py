"""How many secrets are found, how many lines are taken for one, and what a purge leaves."""

from __future__ import annotations

import time
from collections import Counter

from benchmarks.core.context import Context
from benchmarks.core.report import Row, Sample
from benchmarks.secrets import remains
from benchmarks.secrets.lines import SHARES, own_texts, sampled
from benchmarks.secrets.places import Placed, placed
from khive_supervisor.errors import SecretFound
from khive_supervisor.redaction import detection
from khive_supervisor.redaction.gate import Mode, TextGate

#: Secrets of each of the thirty kinds, and the seed that no rule was chosen with.
EACH, SEED = 10, 2203
#: Lines of others' texts.
LINES = 50_000
#: The share of the secrets that has to be found, and lines of 10,000 that may be taken for one.
FOUND, FALSE = 0.98, 5.0


def measure(context: Context) -> list[Row]:
    """The rows of secrets."""
    return [_found(context), _false(context), *remains.measure(context)]


# --- found ----------------------------------------------------------------------------------------


def _found(context: Context) -> Row:
    every = list(placed(context.times(EACH), SEED))
    missed = Counter(one.kind for one in every if not _is_kept_out(one))
    share = 1 - missed.total() / len(every)
    return Row(
        what=f"secrets: {len(every)} of 30 kinds in sentences, code, logs, settings",
        target=f">= {FOUND:.0%} refused, and gone when masked",
        khive=f"{len(every) - missed.total()} of {len(every)} ({share:.1%})",
        met=share >= FOUND,
        notes=(f"missed: {dict(missed)}",) if missed else (),
        data={"found": share, "n": len(every), "missed": dict(missed)},
    )


def _is_kept_out(one: Placed) -> bool:
    """Return True if a text is refused, and nothing of its secret is left when it is masked."""
    try:
        TextGate(Mode.REFUSE).said(one.text, "content")
    except SecretFound as error:
        told = str(error)
    else:
        return False
    masked = TextGate(Mode.MASK).said(one.text, "content")
    return not any(line in text for line in one.secret.split("\n") for text in (told, masked))


# --- false ----------------------------------------------------------------------------------------


def _false(context: Context) -> Row:
    texts = list(sampled(context.texts or own_texts(), context.times(LINES)))
    lines = sum(len(text) for _, text in texts)
    wrong: Counter[str] = Counter()
    seconds = []
    for kind, text in texts:
        began = time.perf_counter()
        found = detection.find("\n".join(text))
        seconds.append((time.perf_counter() - began) / max(len(text), 1))
        wrong[kind] += len({detection.place("\n".join(text), one.start)[0] for one in found})
    rate = wrong.total() / lines * 10_000
    counts = {kind: sum(len(text) for k, text in texts if k == kind) for kind in SHARES}
    return Row(
        what=f"secrets: lines of real code, prose and logs taken for one, of {lines:,}",
        target=f"<= {FALSE:.0f} in 10,000",
        khive=f"{rate:.1f} in 10,000 ({wrong.total()} lines)",
        met=rate <= FALSE,
        notes=(
            ", ".join(f"{kind}: {wrong[kind]} of {count:,}" for kind, count in counts.items()),
            f"a line takes {Sample(tuple(s * 1e6 for s in seconds)).show('us', 50, 99)}",
        ),
        data={"false": rate, "lines": lines, "by_kind": dict(wrong)},
    )
