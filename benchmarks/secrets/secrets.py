"""How many secrets are found, how many lines are taken for one, and what a purge leaves."""

from __future__ import annotations

import random
import sysconfig
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.core.context import Context
from benchmarks.core.report import Row, Sample
from benchmarks.secrets import remains
from benchmarks.secrets.places import Placed, placed
from khive_supervisor.errors import SecretFound
from khive_supervisor.redaction import detection
from khive_supervisor.redaction.gate import Mode, TextGate

#: Secrets of each of the thirty kinds, and the seed that no rule was chosen with.
EACH, SEED = 10, 2203
#: Lines of others' texts, and of one file at most: no file decides.
LINES, OF_ONE_FILE = 50_000, 400
#: The share of the secrets that has to be found, and lines of 10,000 that may be taken for one.
FOUND, FALSE = 0.98, 5.0
#: Shares of code, prose and logs among the lines, as far as there are so many.
_SHARES = {"code": 0.6, "prose": 0.3, "logs": 0.1}
_SUFFIXES = {
    "code": (".py", ".c", ".h", ".js", ".ts", ".go", ".rs", ".java", ".sh", ".toml", ".yaml",
             ".yml", ".json", ".cfg", ".ini"),
    "prose": (".md", ".rst", ".txt", "METADATA", ".html", ".tsv"),
    "logs": (".log",),
}  # fmt: skip
#: What tests of cryptography and of clients hold may be keys indeed.
_LEFT_OUT = {"test", "tests", "testing", "node_modules", ".git"}


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
    texts = list(_texts(context.texts or _own_texts(), context.times(LINES)))
    lines = sum(len(text) for _, text in texts)
    wrong: Counter[str] = Counter()
    seconds = []
    for kind, text in texts:
        began = time.perf_counter()
        found = detection.find("\n".join(text))
        seconds.append((time.perf_counter() - began) / max(len(text), 1))
        wrong[kind] += len({detection.place("\n".join(text), one.start)[0] for one in found})
    rate = wrong.total() / lines * 10_000
    counts = {kind: sum(len(text) for k, text in texts if k == kind) for kind in _SHARES}
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


def _own_texts() -> list[Path]:
    """The standard library, what is installed beside this, and the machine's logs."""
    named = (sysconfig.get_path(name) for name in ("stdlib", "purelib"))
    return [*map(Path, named), Path("/var/log"), Path("/usr/share/doc")]


def _texts(roots: Sequence[Path], wanted: int) -> Iterator[tuple[str, list[str]]]:
    """Return pieces of files: their kind and lines, by shares, in an order that chance has made."""
    files = sorted({path for root in roots for path in root.rglob("*") if _is_text(path)})
    random.Random(SEED).shuffle(files)
    left = {kind: int(wanted * share) for kind, share in _SHARES.items()}
    for kinds in (tuple(_SHARES), ("code",)):  # what is wanting of one kind is made up with code
        for path in files:
            kind = _kind(path)
            if kind in kinds and left[kind] > 0:
                lines = _lines(path)[: min(OF_ONE_FILE, left[kind])]
                left[kind] -= len(lines)
                if lines:
                    yield kind, lines
        left["code"] = sum(left.values())
        files = files[::-1]


def _kind(path: Path) -> str | None:
    return next((k for k, ends in _SUFFIXES.items() if path.name.endswith(ends)), None)


def _is_text(path: Path) -> bool:
    return _kind(path) is not None and not _LEFT_OUT & set(path.parts) and path.is_file()


def _lines(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text("utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError):
        return []
