"""Entries and their hashes: each one covers its own fields and the hash of the one before it."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from khive_supervisor.errors import InvalidInput

#: What every hash begins with: hashes of other programs, or of another form, never match.
DOMAIN = b"khive-audit-1"
#: The hash that the first entry follows.
GENESIS = hashlib.sha256(DOMAIN + b" genesis").digest()
_GENESIS_OF = DOMAIN + b" genesis "
#: Characters of one text of an entry's detail; what is longer is cut.
TEXT_LIMIT = 500
#: Domain, number and time, and the lengths of kind, actor, subject, detail and previous hash.
_HEAD = struct.Struct(f">{len(DOMAIN)}sqd5I")


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One thing that was done.

    Attributes:
        seq: its number, from 1, without gaps.
        at: unix seconds, by the clock of the machine.
        kind: what was done, such as `task.done`; the part before the dot groups them.
        actor: who did it.
        subject: what it was done to, such as `task/t12`.
        detail: a JSON object.
        previous: the hash of the entry before it; it leads back to one that is of the origin.
        hash: of all of this but the origin.
        origin: whose chain it is in: a node of a team, or empty.
    """

    seq: int
    at: float
    kind: str
    actor: str
    subject: str
    detail: str
    previous: bytes
    hash: bytes
    origin: str = ""

    @property
    def name(self) -> str:
        """How people name it: its number, and in a team whose chain it is in."""
        return f"{self.origin}:{self.seq}" if self.origin else str(self.seq)

    @property
    def sound(self) -> bool:
        """Whether its hash is that of its fields."""
        return self.hash == self.hash_as(self.seq)

    def hash_as(self, seq: int) -> bytes:
        """What its hash would be under another number."""
        return digest(seq, self.at, self.kind, self.actor, self.subject, self.detail, self.previous)


def digest(
    seq: int, at: float, kind: str, actor: str, subject: str, detail: str, previous: bytes
) -> bytes:
    """SHA-256 over number, time, the lengths of the other fields in bytes, and these themselves.

    The lengths keep text from moving between neighbours: ("ab", "c") is not ("a", "bc").
    """
    # Bytes that a damaged file holds and that are no UTF-8 come back as they were.
    k, a = kind.encode("utf-8", "surrogateescape"), actor.encode("utf-8", "surrogateescape")
    s, d = subject.encode("utf-8", "surrogateescape"), detail.encode("utf-8", "surrogateescape")
    # Written out: this runs in each write, with nothing of it in the processor's caches.
    head = _HEAD.pack(DOMAIN, seq, at, len(k), len(a), len(s), len(d), len(previous))
    return hashlib.sha256(head + k + a + s + d + previous).digest()


def keyed_digest(key: bytes, content_hash: bytes) -> str:
    """Return what the chain keeps of a memory: nobody can try contents without the entry's key."""
    return hashlib.blake2b(content_hash, key=key, digest_size=32).hexdigest()


def genesis(origin: str) -> bytes:
    """Return the hash that the first entry of a chain follows: no chain passes for another one's.

    `origin` is the node that writes it, or empty: a store of one machine.
    """
    if not origin:
        return GENESIS
    return hashlib.sha256(_GENESIS_OF + origin.encode("utf-8", "surrogateescape")).digest()


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a chain at some moment: kept elsewhere, it proves that nothing before it changed.

    An empty chain has the number 0. `origin` is the node whose chain it is, or empty.
    """

    seq: int = 0
    hash: bytes = GENESIS
    origin: str = ""

    def __str__(self) -> str:
        return f"{DOMAIN.decode()} {self.seq} {self.hash.hex()} {self.origin}".rstrip()

    def as_dict(self) -> dict[str, Any]:
        """Plain data that JSON can carry."""
        origin = {"origin": self.origin} if self.origin else {}
        return {"seq": self.seq, "hash": self.hash.hex(), **origin}


def beginning(origin: str) -> Head:
    """Return the head of a chain that has no entry yet."""
    return Head(0, genesis(origin), origin)


#: The fields of an entry as they are stored: those of `AuditEntry`, with texts as bytes.
Stored = tuple[int, float, bytes, bytes, bytes, bytes, bytes, bytes]


def sound_until(
    rows: Iterable[Stored], start: Head, wanted: Mapping[int, set[bytes]]
) -> tuple[Head, Head]:
    """Return the last entry up to which each follows the one before and is as it was written.

    The second is the entry before that one; both are `start` where nothing follows it. Where a hash
    is `wanted`, it has to be that one. Written out like `digest`: it runs a million times.
    """
    seq, last, pack, sha256 = start.seq, start.hash, _HEAD.pack, hashlib.sha256
    earlier = last
    try:
        for number, at, k, a, s, d, previous, found in rows:
            if number != seq + 1 or previous != last:
                break
            head = pack(DOMAIN, number, at, len(k), len(a), len(s), len(d), len(previous))
            if sha256(head + k + a + s + d + previous).digest() != found:
                break
            if number in wanted and wanted[number] != {found}:
                break
            earlier, seq, last = last, number, found
    except (TypeError, struct.error):  # what stands there is of another type
        pass
    reached = Head(seq, last, start.origin)
    return reached, replace(reached, seq=seq - 1, hash=earlier) if seq > start.seq else start


def read_heads(text: str) -> list[Head]:
    """The heads of a text: one a line, as `str` or JSON writes them; empty lines count nothing.

    Raises:
        InvalidInput: a line is no head, or there is none.
    """
    stripped = text.strip()
    lines = [stripped] if stripped.startswith("{") else stripped.splitlines()
    heads = [_read_head(line) for line in lines if line.strip()]
    if not heads:
        raise _no_head("")
    return heads


def _read_head(line: str) -> Head:
    try:
        if line.lstrip().startswith("{"):
            data = json.loads(line)
            seq, value, origin = data["seq"], data["hash"], str(data.get("origin", ""))
        else:
            domain, seq, value, origin, *more = (*line.split(), "")
            if domain != DOMAIN.decode() or more not in ([], [""]):
                raise _no_head(line)
        head = Head(int(seq), bytes.fromhex(value), origin)
    except (ValueError, KeyError, TypeError) as error:
        raise _no_head(line) from error
    if head.seq < 0 or len(head.hash) != len(GENESIS):
        raise _no_head(line)
    return head


def _no_head(line: str) -> InvalidInput:
    return InvalidInput(
        f"{line[:80]!r} is no head of an audit chain.",
        hint=f"`khive-supervisor audit head` prints one, {DOMAIN.decode()} NUMBER HASH, and in a "
        "team the node; a file of them must exist.",
    )
