"""Commits as entries: which of them give a reason, and what is kept of these; pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

#: Between commits, and between the parts of one, in what git is asked to print.
RECORD, FIELD = "\x1e", "\x1f"
#: What git prints of each commit: id, parents, author, time, message; then its paths, a line each.
FORMAT = f"%x1e{'%x1f'.join(('%H', '%P', '%an', '%at', '%B'))}%x1f"
_RECORD = re.compile(
    r"([0-9a-f]{40,64})\x1f([0-9a-f ]*)\x1f([^\x1f]*)\x1f([0-9]{1,11})\x1f(.*)\x1f([^\x1f]*)",
    re.DOTALL,
)
#: Words of a body from which on it says why, and of a subject that does so alone.
BODY_WORDS, SUBJECT_WORDS = 6, 8
#: Characters of a message that are kept, and paths that are named.
LONGEST, PATHS = 8000, 12

#: Lines of a body that say who, where or for which tool, and not why.
_TRAILER = re.compile(
    r"""(?ix) ^ (?:
      (?: [a-z][a-z-]*-by | change-id | cc | reviewers? | git-svn-id | pr-url | link | bug | issue
        | differential\ revision ) : .*
    | (?: closes | fix(?:es|ed)? | resolves | refs? | see | issue | bug | pr ) [: ]* \#? \d+ \.?
    | \(? (?: cherry\ picked\ from | this\ reverts ) \ commit .*
    | https?://\S+ | \#\d+ | [-*=~_`\s]*
    ) $"""
)
#: Subjects of commits that decide nothing, whatever their bodies list.
_ROUTINE = re.compile(
    r"""(?ix) ^ (?:
      (?: merge | bump | release | wip | typos? | changelog ) \b
    | prepare\ (?:for\ )? (?:the\ )? (?:next\ )? release | v? \d+ (?:\.\d+)+ \b
    | fix(?:ed|es|ing)?\ (?:(?:a|some|more|the)\ )? (?:typos?|whitespace|lint|formatting) \b
    | (?:update|upgrade)\ (?:dependenc|changelog|version|lock) | (?:chore|build|ci) \(deps .* \)
    | fixup! | squash! | amend! | auto-?generated | initial\ commit $
    | run\ (?:black|ruff|prettier|gofmt) \b )"""
)
#: Words by which a subject gives a reason.
_REASON = re.compile(
    r"""(?ix) \b (?:
      because | since | so\ that | so\ as | instead\ of | rather\ than | to\ avoid | to\ prevent
    | in\ order\ to | otherwise | must | never | always | unless | due\ to | no\ longer ) \b"""
)
_BOT = re.compile(r"(?i)\[bot\]|\bdependabot\b|\brenovate\b|\bgithub-actions\b")


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit as git prints it; `time` is unix seconds, `message` the whole of it."""

    id: str
    parents: int
    author: str
    time: float
    message: str
    paths: tuple[str, ...] = ()

    @property
    def subject(self) -> str:
        """Return the message's first line, and what else is before the first empty line."""
        return " ".join(self.message.strip().partition("\n\n")[0].split())

    @property
    def body(self) -> str:
        """Return the rest of the message without lines that only say who or where."""
        lines = self.message.strip().partition("\n\n")[2].splitlines()
        kept = [line.rstrip() for line in lines if not line.strip() or not _TRAILER.match(line)]
        return re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip()


def parsed(printed: str) -> Iterator[Commit]:
    """Yield the commits that git has printed in FORMAT with their paths."""
    for record in printed.split(RECORD)[1:]:
        found = _RECORD.fullmatch(record)
        if found is not None:  # else the rest of a message that holds such a separator
            number, parents, author, time, message, paths = found.groups()
            named = tuple(path for path in paths.splitlines() if path)
            yield Commit(number, len(parents.split()), author, float(time), message, named)


def gives_reason(commit: Commit) -> bool:
    """Return True for a commit that says why, and is neither routine nor a program's.

    It has one parent at most. Its body has BODY_WORDS words that are no trailer; or its subject has
    SUBJECT_WORDS, a word of reason among them.
    """
    if commit.parents > 1 or _BOT.search(commit.author) or _ROUTINE.match(commit.subject):
        return False
    subject = commit.subject
    if len(commit.body.split()) >= BODY_WORDS:
        return True
    return len(subject.split()) >= SUBJECT_WORDS and _REASON.search(subject) is not None


def content(commit: Commit) -> str:
    """Return what is kept of a commit beside its subject: why, what it touched, and who did it.

    The latter two end the last sentence: alone they would be one that answers nothing.
    """
    paths = ", ".join(commit.paths[:PATHS])
    more = f" and {len(commit.paths) - PATHS} more" if len(commit.paths) > PATHS else ""
    about = "; ".join(part for part in (paths + more, commit.author) if part)
    return f"{commit.body[:LONGEST]} ({about})".lstrip()


def reason(kept: str) -> str:
    """Return the reason alone of what `content` has made."""
    said, _, rest = kept.rpartition(" (")
    return said if said and rest.endswith(")") else kept
