"""Pairs of facts that differ in the order or the signs of a name, each with questions for it.

Made from a seed, so that a run can be repeated; used by the tests and by the benchmark `names`.
"""

from __future__ import annotations

import itertools
import random
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pair:
    """Two names that are easily taken for each other, the facts that have them, and questions.

    Attributes:
        kind: what sort of name it is.
        facts: the two facts; fact `i` has name `i` as it is written.
        questions: for each fact what is asked for it.
    """

    kind: str
    facts: tuple[str, str]
    questions: tuple[tuple[str, ...], tuple[str, ...]]


Names = Callable[[random.Random], tuple[str, str]]


def _two(draw: random.Random, low: int, high: int) -> tuple[int, int]:
    first, second = draw.sample(range(low, high), 2)
    return first, second


def _date(draw: random.Random) -> tuple[str, str]:
    month, day = _two(draw, 1, 12)
    year = draw.randint(2019, 2029)
    return f"{year}-{month:02}-{day:02}", f"{year}-{day:02}-{month:02}"


def _german_date(draw: random.Random) -> tuple[str, str]:
    month, day = _two(draw, 1, 12)
    year = draw.randint(2019, 2029)
    return f"{day:02}.{month:02}.{year}", f"{month:02}.{day:02}.{year}"


def _slash_date(draw: random.Random) -> tuple[str, str]:
    month, day = _two(draw, 1, 12)
    return f"{month}/{day}/2026", f"{day}/{month}/2026"


def _time(draw: random.Random) -> tuple[str, str]:
    hour, minute = _two(draw, 10, 24)
    return f"{hour}:{minute}", f"{minute}:{hour}"


def _ratio(draw: random.Random) -> tuple[str, str]:
    first, second = _two(draw, 1, 10)
    return f"{first}:{second}", f"{second}:{first}"


def _range(draw: random.Random) -> tuple[str, str]:
    first, second = _two(draw, 1, 99)
    return f"{first}-{second}", f"{second}-{first}"


def _ticket(draw: random.Random) -> tuple[str, str]:
    first, second = _two(draw, 10, 99)
    team = "".join(draw.choices(string.ascii_uppercase, k=3))
    return f"{team}-{first}-{second}", f"{team}-{second}-{first}"


def _cve(draw: random.Random) -> tuple[str, str]:
    first, second = _two(draw, 2001, 2029)
    return f"CVE-{first}-{second}", f"CVE-{second}-{first}"


def _uuid(draw: random.Random) -> tuple[str, str]:
    parts = ["".join(draw.choices("0123456789abcdef", k=k)) for k in (8, 4, 4, 4, 12)]
    return "-".join(parts), "-".join([parts[0], parts[2], parts[1], *parts[3:]])


def _ipv6(draw: random.Random) -> tuple[str, str]:
    first, second = _two(draw, 1, 9999)
    return f"fd00:{first:x}:{second:x}::1", f"fd00:{second:x}:{first:x}::1"


def _ipv4(draw: random.Random) -> tuple[str, str]:
    first, second = _two(draw, 1, 250)
    return f"10.{first}.{second}.7", f"10.{second}.{first}.7"


def _version(draw: random.Random) -> tuple[str, str]:
    first, second = _two(draw, 0, 40)
    return f"{draw.choice('1234')}.{first}.{second}", f"{draw.choice('1234')}.{second}.{first}"


def _longer_version(draw: random.Random) -> tuple[str, str]:
    first, second = _two(draw, 1, 9)
    return f"{first}.{second}.1", f"{first}.{second}.10"


def _package(draw: random.Random) -> tuple[str, str]:
    first, second = _two(draw, 0, 40)
    name = "".join(draw.choices(string.ascii_lowercase, k=5))
    return f"{name}@{first}.{second}.0", f"{name}@{second}.{first}.0"


def _requirement(draw: random.Random) -> tuple[str, str]:
    name = "".join(draw.choices(string.ascii_lowercase, k=5))
    version = f"{draw.randint(1, 9)}.{draw.randint(1, 30)}"
    return f"{name}>={version}", f"{name}<={version}"


def _flag(draw: random.Random) -> tuple[str, str]:
    word = draw.choice(("verify", "cache", "color", "edit", "tags", "strict", "sandbox", "wait"))
    return f"--{word}", f"--no-{word}"


def _compound(draw: random.Random) -> tuple[str, str]:
    first, second = draw.sample(("web", "db", "queue", "mail", "disk", "cloud", "edge", "lake"), 2)
    return f"{first}-to-{second}", f"{second}-to-{first}"


def _path(draw: random.Random) -> tuple[str, str]:
    first, second = draw.sample(("auth", "core", "net", "store", "api", "jobs"), 2)
    return f"src/{first}/{second}.py", f"src/{second}/{first}.py"


def _language(draw: random.Random) -> tuple[str, str]:
    letter = draw.choice("BCEFGHJKLNPQVX")
    return f"{letter}++", letter


def _phone(draw: random.Random) -> tuple[str, str]:
    first, second = _two(draw, 100, 999)
    return f"+49 30 {first} {second}", f"+49 30 {second} {first}"


def _mac(draw: random.Random) -> tuple[str, str]:
    parts = [f"{draw.randint(0, 255):02x}" for _ in range(6)]
    swapped = [parts[1], parts[0], *parts[2:]]
    if swapped == parts:
        return _mac(draw)
    return ":".join(parts), ":".join(swapped)


def _record(draw: random.Random) -> tuple[str, str]:
    first, second = _two(draw, 10, 99)
    kind = draw.choice(("ADR", "RFC", "ISO"))
    return f"{kind}-{first}/{second}", f"{kind}-{second}/{first}"


def _member(draw: random.Random) -> tuple[str, str]:
    first, second = draw.sample(("open", "flush", "reset", "begin", "close", "merge"), 2)
    return f"cache::{first}::{second}", f"cache::{second}::{first}"


def _cron(draw: random.Random) -> tuple[str, str]:
    minute, hour = _two(draw, 0, 23)
    day = draw.randint(1, 6)
    return f"{minute} {hour} * * {day}", f"{hour} {minute} * * {day}"


def _comparison(draw: random.Random) -> tuple[str, str]:
    first, second = draw.sample(("size", "limit", "count", "depth", "width", "load"), 2)
    return f"{first} >= {second}{draw.randint(1, 99)}", f"{first} <= {second}{draw.randint(1, 99)}"


def _arrow(draw: random.Random) -> tuple[str, str]:
    first, second = draw.sample(("web", "db", "queue", "mail", "disk", "cloud", "edge", "lake"), 2)
    sign = draw.choice(("->", "=>", "→", "|"))
    return f"{first} {sign} {second}", f"{second} {sign} {first}"


def _coordinates(draw: random.Random) -> tuple[str, str]:
    first, second = (f"{draw.randint(10, 80)}.{draw.randint(100, 999)}" for _ in range(2))
    return f"{first}, {second}", f"{second}, {first}"


def _half_of_the_day(draw: random.Random) -> tuple[str, str]:
    time = f"{draw.randint(1, 12)}:{draw.randint(10, 59)}"
    return f"{time} am", f"{time} pm"


def _moves(draw: random.Random) -> tuple[str, str]:
    first, second = draw.sample([f"{file}{rank}" for file in "abcdefgh" for rank in range(1, 9)], 2)
    return f"{first} {second}", f"{second} {first}"


def _files(draw: random.Random) -> tuple[str, str]:
    first, second = draw.sample(("auth", "core", "net", "store", "api", "jobs"), 2)
    end = draw.choice(("txt", "py", "rs", "md", "go"))
    return f"{first}.{end} {second}.{end}", f"{second}.{end} {first}.{end}"


def _quotation(draw: random.Random) -> tuple[str, str]:
    first, second = draw.sample(("dog", "cat", "owl", "fox", "hen", "bee", "man", "cow"), 2)
    verb = draw.choice(("bites", "chases", "fears"))
    return f'"{first} {verb} {second}"', f'"{second} {verb} {first}"'


def _dashed_range(draw: random.Random) -> tuple[str, str]:
    first, second = _two(draw, 100, 999)
    return f"{first}–{second}", f"{second}–{first}"


#: Each kind: its names, what facts say of them, and what is asked besides the name alone.
KINDS: dict[str, tuple[Names, str, str]] = {
    "date": (_date, "On {} the board chose vendor {}.", "what did the board choose on {}?"),
    "date with dots": (
        _german_date,
        "Die Abnahme am {} leitet {}.",
        "wer leitet die Abnahme am {}?",
    ),
    "date with slashes": (
        _slash_date,
        "The audit of {} was signed by {}.",
        "who signed the audit of {}",
    ),
    "time": (_time, "The train at {} stops in {}.", "where does the train at {} stop?"),
    "ratio": (_ratio, "Mix at ratio {} for {}.", "ratio {}"),
    "range": (_range, "Rack position {} holds {}.", "rack position {}"),
    "ticket": (_ticket, "Ticket {}: rotate the certificates of {}.", "what is ticket {} about?"),
    "cve": (_cve, "{} affects the parser of {}.", "which parser is affected by {}?"),
    "uuid": (_uuid, "Tenant {} belongs to {}.", "tenant {}"),
    "ipv6": (_ipv6, "The host at {} runs {}.", "what runs at {}?"),
    "ipv4": (_ipv4, "The printer {} is in room {}.", "in which room is {}?"),
    "version": (_version, "Release {} was withdrawn because of {}.", "why was {} withdrawn?"),
    "longer version": (_longer_version, "Pin it to {} for {}.", "who pins {}"),
    "package": (_package, "The build uses {} for {}.", "what is {} used for"),
    "requirement": (_requirement, "Service {1} asks for {0}.", "which service asks for {}?"),
    "flag": (_flag, "Pass {} when working on {}.", "when to pass {}"),
    "compound": (_compound, "The job {} copies the orders of {}.", "which orders does {} copy?"),
    "path": (_path, "The lock is taken in {} by {}.", "who takes the lock in {}"),
    "language": (_language, "The importer of {1} is written in {0}.", "importer written in {}"),
    "phone": (_phone, "Call {} to reach {}.", "whom do I reach at {}?"),
    "mac": (_mac, "The switch {} serves floor {}.", "which floor does {} serve?"),
    "record": (_record, "{} settles how {} names its queues.", "what does {} settle?"),
    "cron": (_cron, "The cron line {} starts {}.", "what starts at {}?"),
    "comparison": (_comparison, "Assert that {} in {}.", "where is {} asserted?"),
    "arrow": (_arrow, "The flow {} carries the orders of {}.", "which orders go {}?"),
    "coordinates": (_coordinates, "The depot at {} belongs to {}.", "whose depot is at {}?"),
    "half of the day": (_half_of_the_day, "The call at {} is with {}.", "who calls at {}?"),
    "moves": (_moves, "After {} play like {}.", "what to play after {}?"),
    "files": (_files, "Run mv {} for {}.", "why mv {}"),
    "quotation": (_quotation, "The headline {} was printed by {}.", "who printed {}?"),
    "range with a dash": (_dashed_range, "Pages {} are about {}.", "what are pages {} about?"),
    "member": (_member, "Use {} before touching {}.", "when to use {}"),
}

_OWNERS = (
    "Alder", "Birch", "Cedar", "Damson", "Elder", "Fir", "Gorse", "Hazel", "Ivy", "Juniper",
    "Larch", "Maple", "Nutmeg", "Oak", "Pine", "Quince", "Rowan", "Spruce", "Teak", "Willow",
)  # fmt: skip


def pairs(count: int, seed: int = 1) -> Iterator[Pair]:
    """`count` pairs, all kinds in turn as long as they have names; no name occurs in two pairs."""
    draw = random.Random(seed)
    seen: set[str] = set()
    left = count
    for kind in itertools.cycle(KINDS):
        if not left:
            return
        two = _unseen(KINDS[kind][0], draw, seen)
        if two is not None:
            seen.update(two)
            left -= 1
            yield _pair(kind, two, draw)


def _unseen(names: Names, draw: random.Random, seen: set[str]) -> tuple[str, str] | None:
    """Two names that were not used yet, or None when the kind has hardly any left."""
    for _ in range(50):
        two = names(draw)
        if two[0] != two[1] and not seen.intersection(two):
            return two
    return None


def _pair(kind: str, two: tuple[str, str], draw: random.Random) -> Pair:
    _, fact, question = KINDS[kind]
    first, second = draw.sample(_OWNERS, 2)
    return Pair(
        kind,
        (fact.format(two[0], first), fact.format(two[1], second)),
        ((two[0], question.format(two[0])), (two[1], question.format(two[1]))),
    )
